//! A crowd claims a coupon through two servers that share a gate in Redis, and what happens when Redis or a server fails
//! in the middle of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use jangteo_testkit::{RedisOptions, RedisServer, TestDatabase};
use reqwest::Method;
use serde_json::Value;
use sqlx::{Connection, Executor, MySqlConnection};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::server::{Program, Server};

/// Clients that ask at the same time.
const CLIENTS: usize = 256;
/// Coupons that there are.
const COUPONS: usize = 1_000;
/// How long places may take to come back: admissions are overdue after three seconds here.
const PATIENCE: Duration = Duration::from_secs(20);

/// One customer's request; who sends the same key again, sends the same request again.
#[derive(Clone)]
struct Claim {
    user: i64,
    key: Option<String>,
}

/// Every eighth customer sends a key.
fn claim_of(user: i64) -> Claim {
    Claim { user, key: (user % 8 == 1).then(|| format!("claim-{user}")) }
}

fn try_again(user: i64) -> Claim {
    Claim { user, key: None }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Won { ticket: i64 },
    AlreadyClaimed,
    SoldOut,
}

struct Reply {
    claim: Claim,
    told: Told,
    replayed: bool,
}

/// Two servers before one database and one Redis.
struct Sale {
    servers: [Server; 2],
    program: Program,
    redis: Mutex<RedisServer>,
    database: TestDatabase,
    /// Claims that were answered with the coupon.
    won: AtomicUsize,
}

impl Sale {
    async fn begin(users: i64) -> Arc<Self> {
        let database = jangteo_testkit::mysql().await;
        let redis = spawn_blocking(|| RedisServer::start(RedisOptions::default())).await.expect("no panic");
        let redis = redis.unwrap_or_else(|reason| panic!("{reason}"));
        let program = Program::new(&database.url)
            .with("JANGTEO_REDIS_URL", redis.url())
            .with("JANGTEO_BATCH_DEADLINE_MS", "1000");
        program.run(&["migrate", "up"]);
        let coupon = format!("RUSH:PERCENT:10:{COUPONS}");
        program.run(&["seed", "--users", &users.to_string(), "--coupon", &coupon]);
        let servers = [program.serve().await, program.serve().await];
        Arc::new(Self { servers, program, redis: Mutex::new(redis), database, won: AtomicUsize::new(0) })
    }

    fn redis(&self) -> MutexGuard<'_, RedisServer> {
        self.redis.lock().expect("nobody panicked")
    }

    /// Blocks until so many claims were answered with the coupon.
    fn await_winners(&self, winners: usize) {
        while self.won.load(Ordering::Relaxed) < winners {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends claims, in this order and over both servers, as fast as they are answered.
    async fn stampede(&self, claims: impl IntoIterator<Item = Claim>) -> Vec<Reply> {
        let claims = claims.into_iter().enumerate().map(|(n, claim)| self.claim(n, claim));
        stream::iter(claims).buffer_unordered(CLIENTS).filter_map(std::future::ready).collect().await
    }

    /// Meanwhile this happens.
    async fn stampede_while(
        self: &Arc<Self>,
        claims: impl IntoIterator<Item = Claim>,
        happening: impl FnOnce(&Self) + Send + 'static,
    ) -> Vec<Reply> {
        let sale = Arc::clone(self);
        let happening = spawn_blocking(move || happening(&sale));
        let replies = self.stampede(claims).await;
        happening.await.expect("no panic");
        replies
    }

    /// Whom its server does not answer any more asks the other one, but for every fourth customer, who gives up.
    async fn claim(&self, n: usize, claim: Claim) -> Option<Reply> {
        let [first, second] = [&self.servers[n % 2], &self.servers[(n + 1) % 2]];
        let reply = match ask(first, &claim).await {
            Some(reply) => reply,
            None if claim.user % 4 == 3 => return None,
            None => ask(second, &claim).await.expect("one server is there"),
        };
        if matches!(reply.told, Told::Won { .. }) && !reply.replayed {
            self.won.fetch_add(1, Ordering::Relaxed);
        }
        Some(reply)
    }

    /// Those who were told that it is sold out try again, until it is so for good.
    async fn sell_out(&self, replies: &mut Vec<Reply>) {
        let losers: BTreeSet<i64> = replies
            .iter()
            .filter(|reply| reply.told == Told::SoldOut)
            .map(|reply| reply.claim.user)
            .collect();
        let mut losers = losers.iter().copied().cycle();
        let begun = Instant::now();
        loop {
            let holders = self.holders().await.len();
            replies.extend(self.stampede(losers.by_ref().take(100).map(try_again)).await);
            if holders == COUPONS {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "places are lost: {holders} were issued");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Something happens while every client waits for the coupon's row, with a ticket.
    async fn while_claims_wait(&self, happening: impl FnOnce()) {
        let mut connection = MySqlConnection::connect(&self.database.url).await.expect("it connects");
        let mut lock = connection.begin().await.expect("it begins");
        lock.execute("SELECT id FROM coupons FOR UPDATE").await.expect("it is locked");
        tokio::time::sleep(Duration::from_millis(300)).await;
        happening();
        lock.rollback().await.expect("it is free again");
    }

    async fn query<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::mysql::MySqlRow> + Send + Unpin,
    {
        let mut connection = MySqlConnection::connect(&self.database.url).await.expect("it connects");
        sqlx::query_as(sql).fetch_all(&mut connection).await.expect("it answers")
    }

    /// Customers who hold the coupon, with their tickets.
    async fn holders(&self) -> BTreeMap<i64, i64> {
        self.query("SELECT user_id, ticket FROM user_coupons").await.into_iter().collect()
    }

    /// What must be true however the sale went.
    async fn assert_fair(&self, replies: &[Reply]) {
        let holders = self.holders().await;
        assert_eq!(holders.len(), COUPONS, "as many as there are, to a customer each");
        let mut winners = BTreeSet::new();
        for Reply { claim, told, replayed } in replies {
            let held = holders.get(&claim.user);
            match told {
                Told::Won { ticket } => {
                    assert_eq!(held, Some(ticket), "of {}", claim.user);
                    assert!(*replayed || winners.insert(claim.user), "{} won twice", claim.user);
                }
                Told::AlreadyClaimed => assert!(held.is_some(), "of {}", claim.user),
                Told::SoldOut => {}
            }
        }
        self.program.run(&["audit"]);
    }

    /// Sends every claim with a key once more: it gets the same answer.
    async fn assert_replayed(&self, replies: &[Reply]) {
        let keyed = |reply: &Reply| reply.claim.key.is_some();
        let told: BTreeMap<i64, Told> =
            replies.iter().filter(|reply| keyed(reply)).map(|reply| (reply.claim.user, reply.told)).collect();
        assert!(
            told.values().any(|told| *told != Told::SoldOut)
                && told.values().any(|told| *told == Told::SoldOut)
        );
        for reply in replies.iter().filter(|reply| keyed(reply)) {
            assert_eq!(reply.told, told[&reply.claim.user], "of {}", reply.claim.user);
        }
        for reply in self.stampede(told.keys().map(|user| claim_of(*user))).await {
            assert_eq!(
                (reply.told, reply.replayed),
                (told[&reply.claim.user], true),
                "of {}",
                reply.claim.user
            );
        }
    }
}

/// Any other answer than these is a fault; none is when the server went away.
async fn ask(server: &Server, claim: &Claim) -> Option<Reply> {
    let mut request = server.request(Method::POST, claim.user, "/api/v1/coupons/RUSH/claim");
    if let Some(key) = &claim.key {
        request = request.header("Idempotency-Key", key);
    }
    let answer = request.send().await.ok()?;
    let replayed = answer.headers().contains_key("idempotency-replayed");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.ok()?;
    let told = match (status, body["error"].as_str()) {
        (200, None) => Told::Won { ticket: body["ticket"].as_i64().expect("a ticket") },
        (409, Some("COUPON_SOLD_OUT")) => Told::SoldOut,
        (409, Some("COUPON_ALREADY_CLAIMED")) => Told::AlreadyClaimed,
        _ => panic!("{status}: {body}"),
    };
    Some(Reply { claim: claim.clone(), told, replayed })
}

/// Twenty thousand customers. Every fourth of them sends the claim twice: of the first half both at once, of the others
/// the second when everybody had a turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_gets_every_coupon_once_in_the_order_of_its_tickets() {
    let sale = Sale::begin(20_000).await;
    let again = |user: &i64| user % 4 == 1;
    let crowd = (1..=20_000).flat_map(|user| {
        let twice = again(&user) && user <= 10_000;
        std::iter::repeat_n(claim_of(user), if twice { 2 } else { 1 })
    });
    let claims: Vec<Claim> = crowd.chain((10_001..=20_000).filter(again).map(claim_of)).collect();
    assert_eq!(claims.len(), 25_000);
    let replies = sale.stampede(claims).await;
    assert_eq!(replies.len(), 25_000);

    sale.assert_fair(&replies).await;
    sale.assert_replayed(&replies).await;
    let tickets: BTreeSet<i64> = sale.holders().await.into_values().collect();
    assert!(tickets.into_iter().eq(1..=1000), "the first tickets win");
    let gates: Vec<(i64, i64)> = sale.query("SELECT first_ticket, last_ticket FROM coupon_gates").await;
    assert_eq!(gates, [(1, 1000)], "the gate was opened once");
    let winners: BTreeSet<i64> = sale.holders().await.into_keys().collect();
    for Reply { claim, told, .. } in &replies {
        assert_eq!(*told == Told::SoldOut, !winners.contains(&claim.user), "{}: {told:?}", claim.user);
    }
    let keys = sale.redis().keys();
    let others: Vec<_> = keys.iter().filter(|key| !key.contains(":coupon:{RUSH}:")).collect();
    assert!(others.iter().all(|key| *key == "jangteo:probe"), "{others:?}");
}

/// Something happens when some hundreds were issued.
async fn disturbed(happening: impl FnOnce(&Sale) + Send + 'static) -> Arc<Sale> {
    let sale = Sale::begin(6_000).await;
    let mut replies = sale.stampede_while((1..=6_000).map(claim_of), happening).await;
    sale.sell_out(&mut replies).await;
    sale.assert_fair(&replies).await;
    sale.assert_replayed(&replies).await;
    sale
}

/// Nothing had to be done about it, and it was told once.
async fn assert_redis_was_away_and_is_back(sale: &Sale) {
    for server in &sale.servers {
        let begun = Instant::now();
        while !server.metrics().await.contains("\njangteo_redis_up 1\n") {
            assert!(begun.elapsed() < PATIENCE, "Redis is not used any more");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(server.log().matches("Redis is away").count(), 1, "{}", server.log());
        assert_eq!(server.log().lines().count(), 1, "{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_forgets_everything_is_opened_anew() {
    let sale = disturbed(|sale| {
        sale.await_winners(300);
        sale.redis().flush();
    })
    .await;
    let gates: Vec<(i64,)> = sale.query("SELECT first_ticket FROM coupon_gates").await;
    assert!(gates.len() >= 2, "it was flushed when it was over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_and_comes_back_empty() {
    let sale = disturbed(|sale| {
        sale.await_winners(300);
        sale.redis().kill();
        sale.await_winners(500);
        sale.redis().restart();
    })
    .await;
    assert_redis_was_away_and_is_back(&sale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_comes_back_with_an_old_memory() {
    disturbed(|sale| {
        sale.await_winners(100);
        sale.redis().save();
        sale.await_winners(400);
        sale.redis().restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_hangs_for_two_seconds() {
    let sale = disturbed(|sale| {
        sale.await_winners(300);
        sale.redis().freeze();
        thread::sleep(Duration::from_secs(2));
        sale.redis().thaw();
    })
    .await;
    assert_redis_was_away_and_is_back(&sale).await;
}

/// Those of them who gave up had places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_places_of_a_killed_server_go_to_others() {
    let sale = disturbed(|sale| {
        sale.await_winners(300);
        Handle::current().block_on(sale.while_claims_wait(|| sale.servers[0].process.kill()));
    })
    .await;
    let returned: Vec<(i64,)> = sale.query("SELECT ticket FROM returned_tickets").await;
    assert!(!returned.is_empty(), "it was killed when nobody waited");
    let tickets: BTreeSet<i64> = sale.holders().await.into_values().collect();
    assert!(tickets.into_iter().eq(1..=1000), "each place that came back was given to another");
}
