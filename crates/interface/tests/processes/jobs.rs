//! Scheduled jobs of several processes on one database.

use std::time::Duration;

use jangteo_testkit::TestDatabase;
use serde_json::json;
use sqlx::{Connection, MySqlConnection};
use tokio::time::{Instant, sleep, timeout};

use crate::server::{Process, Program, free_address};

/// Tried every quarter of a second, so that a lease is over after half a second.
fn program(database: &TestDatabase) -> Program {
    Program::new(&database.url).with("JANGTEO_JOB_INTERVAL_MS", "1000")
}

async fn connect(database: &TestDatabase) -> MySqlConnection {
    MySqlConnection::connect(&database.url).await.expect("the database answers")
}

async fn number(connection: &mut MySqlConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.expect("a number")
}

async fn execute(connection: &mut MySqlConnection, statements: &'static str) {
    sqlx::raw_sql(statements).execute(connection).await.expect("done");
}

async fn until(connection: &mut MySqlConnection, query: &'static str, least: i64) {
    let reached = async {
        while number(connection, query).await < least {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), reached).await.unwrap_or_else(|_| panic!("{query} stays below {least}"));
}

/// As if each of the 5,000 customers had claimed the coupon last year, for a week.
const CLAIMED_LAST_YEAR: &str = "\
    INSERT INTO user_coupons SELECT id, id, 1, 'CLAIMED', id, '2025-01-01', '2025-01-08', NULL FROM users; \
    INSERT INTO coupon_history (user_coupon_id, action, created_at) \
    SELECT id, 'ISSUED', claimed_at FROM user_coupons; \
    INSERT INTO outbox (aggregate, aggregate_id, sequence, event_type, payload, status, created_at, status_at) \
    SELECT 'user_coupon', id, 1, 'coupon.issued', '{}', 'SENT', claimed_at, UTC_TIMESTAMP(6) FROM user_coupons; \
    UPDATE coupons SET issued_quantity = 5000, next_ticket = 5001";
const EXPIRED: &str = "SELECT COUNT(*) FROM user_coupons WHERE status = 'EXPIRED'";
const HISTORY: &str = "SELECT COUNT(*) FROM coupon_history WHERE action = 'EXPIRED'";
const LEASES: &str = "SELECT COUNT(*) FROM job_leases";
const FREE: &str = "SELECT COUNT(*) FROM job_leases WHERE expires_at < '1971-01-01'";

/// Who has the lease, as its fence tells it and its holder names it.
async fn has_the_lease(connection: &mut MySqlConnection, process: &Process) -> bool {
    let holder: String = sqlx::query_scalar("SELECT holder FROM job_leases WHERE name = 'expire-coupons'")
        .fetch_one(connection)
        .await
        .expect("somebody has the lease");
    holder.contains(&format!("/{}/", process.id()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_coupon_expires_once_though_the_process_that_does_it_is_killed() {
    let database = jangteo_testkit::mysql().await;
    let (program, mut watching) = (program(&database), connect(&database).await);
    program.run(&["migrate", "up"]);
    program.run(&["seed", "--users", "5000", "--products", "1", "--coupon", "WEEK:PERCENT:10:5000"]);
    execute(&mut watching, CLAIMED_LAST_YEAR).await;
    // Half of them are in use, so that the job is not done when its process is killed.
    let mut using = connect(&database).await;
    let mut orders = using.begin().await.expect("a transaction");
    execute(&mut orders, "DO (SELECT COUNT(*) FROM user_coupons WHERE id > 2500 FOR UPDATE)").await;

    let (server, worker) = (program.serve().await, program.work());
    until(&mut watching, EXPIRED, 500).await;
    let processes = [&server.process, &worker];
    let first = usize::from(!has_the_lease(&mut watching, processes[0]).await);
    assert!(has_the_lease(&mut watching, processes[first]).await);
    processes[first].kill();
    let done = number(&mut watching, EXPIRED).await;
    assert!((500..=2500).contains(&done), "{done}");
    orders.rollback().await.expect("nobody uses them any more");

    until(&mut watching, EXPIRED, 5000).await;
    let second = processes[1 - first];
    assert!(has_the_lease(&mut watching, second).await);
    let fence = "SELECT fence FROM job_leases WHERE name = 'expire-coupons'";
    assert_eq!(number(&mut watching, fence).await, 2);
    assert_eq!(number(&mut watching, HISTORY).await, 5000);
    second.stop();
    assert_eq!(number(&mut watching, HISTORY).await, 5000);
    program.run(&["audit"]);
}

/// How long orders are held here, and the time within which jobs do what there is to do.
const HOLD: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_left_alone_gives_back_what_was_held_in_time_though_its_server_was_killed() {
    let database = jangteo_testkit::mysql().await;
    let millis = |time: Duration| time.as_millis().to_string();
    let program = Program::new(&database.url)
        .with("JANGTEO_JOB_INTERVAL_MS", &millis(INTERVAL))
        .with("JANGTEO_ORDER_HOLD_MS", &millis(HOLD));
    let mut watching = connect(&database).await;
    program.run(&["migrate", "up"]);
    program.run(&["seed", "--users", "40", "--products", "2", "--coupon", "TENTH:PERCENT:10:40"]);
    let first = program.serve().await;
    until(&mut watching, LEASES, 4).await;
    let second = program.serve().await;
    let order = json!({"items": [{"productId": 1, "qty": 1}], "couponCode": "TENTH", "payment": "DEFERRED"});
    for user in 1..=40 {
        first.post(user, "/api/v1/coupons/TENTH/claim", json!(null), None).await.expect("an answer");
        let placed = first.post(user, "/api/v1/orders", order.clone(), None).await.expect("an answer");
        assert_eq!((placed.0, &placed.1["status"]), (201, &json!("PENDING")), "{}", placed.1);
    }
    let placed = Instant::now();
    assert_eq!(number(&mut watching, HELD).await, 40);
    assert!(has_the_lease(&mut watching, &first.process).await);
    first.process.kill();
    until(&mut watching, GIVEN_BACK, 40).await;
    assert!(placed.elapsed() < HOLD + INTERVAL, "{:?}", placed.elapsed());
    assert_eq!(number(&mut watching, HELD).await, 0);
    assert_eq!(number(&mut watching, "SELECT COUNT(*) FROM user_coupons WHERE status = 'CLAIMED'").await, 40);
    let product = second.get(1, "/api/v1/products/1").await;
    assert_eq!(product["salesVolume"], 0, "{product}");
    assert_eq!(number(&mut watching, "SELECT stock - 1000 FROM products WHERE id = 1").await, 0);
    program.run(&["audit"]);
}

const HELD: &str = "SELECT COUNT(*) FROM order_holds";
const GIVEN_BACK: &str = "SELECT COUNT(*) FROM orders WHERE status = 'CANCELLED'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_leaves_the_jobs_to_a_worker_when_told_to_which_gives_them_back_when_it_is_stopped() {
    let database = jangteo_testkit::mysql().await;
    let (program, mut watching) = (program(&database), connect(&database).await);
    program.run(&["migrate", "up"]);
    let _server = program.serve_with(&["--no-worker"]).await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(number(&mut watching, LEASES).await, 0);
    let worker = program.work();
    until(&mut watching, LEASES, 4).await;
    assert_eq!(number(&mut watching, FREE).await, 0);
    worker.stop();
    assert_eq!(number(&mut watching, FREE).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_tells_of_its_health_and_its_metrics() {
    let database = jangteo_testkit::mysql().await;
    let program = program(&database);
    program.run(&["migrate", "up"]);
    let address = free_address();
    let worker = program.work_at(address);
    let client = jangteo_testkit::http_client();
    let get = async |path: &str| {
        let answer = client.get(format!("http://{address}{path}")).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    };
    let ready = async {
        loop {
            match get("/health/ready").await {
                Some((200, body)) => return body,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let ready = timeout(Duration::from_secs(60), ready).await.expect("it becomes ready");
    assert!(ready.contains(r#""database":{"status":"UP"}"#) && ready.contains("breakerOpen"), "{ready}");
    assert_eq!(get("/health/live").await.unwrap(), (200, r#"{"status":"UP"}"#.to_owned()));
    let told = async {
        while !get("/metrics").await.is_some_and(|(_, text)| text.contains("jangteo_outbox_oldest_seconds")) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), told).await.expect("it tells of the outbox");
    assert_eq!(get("/api/v1/products").await.unwrap().0, 404);
    worker.stop();
}
