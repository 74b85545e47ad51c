use std::sync::Arc;

use chrono::TimeDelta;
use jangteo::{Application, Settings, StopHandle};
use jangteo_application::outbox::{FailedEvent, Outbox, Settlement};
use jangteo_application::seeding::{SeedCoupon, SeedPlan, SeedProduct, Seeder};
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::Money;
use jangteo_domain::coupon::Discount;
use jangteo_domain::user::Profile;
use jangteo_infra_database::{DatabaseSettings, Store};
use jangteo_testkit::TestDatabase;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Runs each test on SQLite and on MySQL, in a shop of its own, and audits the shop in the end.
macro_rules! on_both_databases {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::support::in_shop(jangteo_testkit::sqlite().await, super::$name).await;
            })*
        }

        mod on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::support::in_shop(jangteo_testkit::mysql().await, super::$name).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;

/// A shop with three customers (balances 100,000, 50,000 and 0), products 1 (19,900, ten pieces), 2 (5,000.50, five
/// pieces) and 3 (100, none left), and some coupons.
pub(crate) struct Shop {
    pub(crate) site: String,
    pub(crate) client: Client,
    pub(crate) stop: StopHandle,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
    pub(crate) database: TestDatabase,
    settings: Settings,
}

/// One more server on the database of a shop.
pub(crate) struct Instance {
    pub(crate) site: String,
    stop: StopHandle,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Instance {
    async fn start(settings: Settings) -> Self {
        Self::run(Application::build(settings, Arc::new(SystemClock)).await.expect("it starts"))
    }

    fn run(application: Application) -> Self {
        let site = format!("http://{}", application.address());
        let stop = application.stop_handle();
        Self { site, stop, running: tokio::spawn(application.run_until_stopped()) }
    }

    pub(crate) async fn end(self) {
        self.stop.stop();
        self.running.await.expect("no panic").expect("a clean end");
    }
}

pub(crate) const SHIRT: i64 = 1;
pub(crate) const SOCKS: i64 = 2;
pub(crate) const SOLD_OUT: i64 = 3;

pub(crate) async fn in_shop(database: TestDatabase, test: impl AsyncFnOnce(&Shop)) {
    let shop = Shop::open(database).await;
    test(&shop).await;
    shop.close().await;
}

impl Shop {
    pub(crate) async fn open(database: TestDatabase) -> Self {
        Self::open_with(database, |_| ()).await
    }

    /// A shop whose settings differ from those of the others.
    pub(crate) async fn open_with(database: TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        fill(&database.url).await;
        let mut settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            database_url: database.url.parse().unwrap(),
            product_cache_ms: 0,
            popular_cache_ms: 0,
            max_body_bytes: 16_384.try_into().unwrap(),
            http_workers: Some(2.try_into().unwrap()),
            database_readers: 2.try_into().unwrap(),
            ..Settings::default()
        };
        change(&mut settings);
        let Instance { site, stop, running } = Instance::start(settings.clone()).await;
        let client = jangteo_testkit::http_client();
        Self { site, client, stop, running, database, settings }
    }

    /// With the same settings.
    pub(crate) async fn second_instance(&self) -> Instance {
        self.instance_with(|_| ()).await
    }

    /// With settings that differ.
    pub(crate) async fn instance_with(&self, change: impl FnOnce(&mut Settings)) -> Instance {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Instance::start(settings).await
    }

    /// With the same settings, and delivers events.
    pub(crate) async fn instance_with_worker(&self) -> Instance {
        let clock = Arc::new(SystemClock);
        let application = Application::build(self.settings.clone(), clock).await.expect("it starts");
        Instance::run(application.with_worker(&self.settings).await.expect("it starts"))
    }

    /// What an administrator sees.
    pub(crate) fn managed(&self, path: &str) -> RequestBuilder {
        self.mine(path).header("X-User-Role", "ADMIN")
    }

    /// An administrator posts it.
    pub(crate) fn manage(&self, path: &str, body: &Value) -> RequestBuilder {
        self.post(1, path, body).header("X-User-Role", "ADMIN")
    }

    /// Audits the shop and closes it.
    pub(crate) async fn close(self) {
        let audit = Answer::of(self.managed("/api/v1/admin/audit")).await;
        assert_eq!(audit.body["clean"], true, "{}", audit.text);
        self.stop.stop();
        self.running.await.expect("no panic").expect("a clean end");
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.site))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// What user 1 sees.
    pub(crate) fn mine(&self, path: &str) -> RequestBuilder {
        self.get(path).header("X-User-Id", 1)
    }

    pub(crate) fn post(&self, user: i64, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).header("X-User-Id", user).json(body)
    }

    /// User 1 posts these bytes as JSON.
    pub(crate) fn post_text(&self, path: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
        let request = self.request(Method::POST, path).header("X-User-Id", 1);
        request.header("Content-Type", "application/json").body(body.into())
    }

    pub(crate) fn order(&self, user: i64, lines: &[(i64, i64)]) -> RequestBuilder {
        self.post(user, "/api/v1/orders", &json!({"items": items(lines)}))
    }

    /// What administrators do to an order: `ship` or `deliver`.
    pub(crate) fn administer(&self, order: &Value, change: &str) -> RequestBuilder {
        let request = self.request(Method::POST, &format!("/api/v1/admin/orders/{order}/{change}"));
        request.header("X-User-Id", 900).header("X-User-Role", "ADMIN")
    }

    pub(crate) fn cancel(&self, user: i64, order: &Value) -> RequestBuilder {
        self.request(Method::POST, &format!("/api/v1/orders/{order}/cancel")).header("X-User-Id", user)
    }

    pub(crate) fn claim(&self, user: i64, code: &str) -> RequestBuilder {
        self.request(Method::POST, &format!("/api/v1/coupons/{code}/claim")).header("X-User-Id", user)
    }

    pub(crate) async fn balance(&self, user: i64) -> Value {
        let wallet = Answer::of(self.get("/api/v1/wallets").header("X-User-Id", user)).await;
        wallet.body["balance"].clone()
    }

    pub(crate) async fn stock(&self, product: i64) -> Value {
        Answer::of(self.get(&format!("/api/v1/products/{product}"))).await.body["stock"].clone()
    }

    /// Everything that a refused request must leave as it was.
    pub(crate) async fn books(&self) -> Vec<Value> {
        let mut books = vec![Answer::of(self.get("/api/v1/products")).await.body["content"].take()];
        for user in 1..=3 {
            for path in ["/api/v1/wallets", "/api/v1/wallets/ledger", "/api/v1/orders"] {
                books.push(Answer::of(self.get(path).header("X-User-Id", user)).await.body);
            }
            let coupons = self.get(&format!("/api/v1/users/{user}/coupons")).header("X-User-Id", user);
            books.push(Answer::of(coupons).await.body);
        }
        books
    }
}

pub(crate) fn items(lines: &[(i64, i64)]) -> Vec<Value> {
    lines.iter().map(|(product, qty)| json!({"productId": product, "qty": qty})).collect()
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    /// Null when it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, text, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The fields of the details, in their order.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let details = self.body["details"].as_array().map(Vec::as_slice).unwrap_or_default();
        details.iter().map(|detail| detail["field"].as_str().expect("a field")).collect()
    }
}

/// Every failure has the one format, this code, and details about these fields.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, code: &str, fields: &[&str]) {
    let Answer { text, body, .. } = answer;
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(body["error"], code, "{text}");
    assert_eq!(answer.fields(), fields, "{text}");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let trace_id = body["traceId"].as_str().expect("a trace id");
    assert!(answer.header("traceparent").expect("a trace").starts_with(&format!("00-{trace_id}-")));
    for field in ["timestamp", "path", "message"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {text}");
    }
    for detail in body["details"].as_array().into_iter().flatten() {
        assert!(detail["reason"].is_string() && detail["code"].is_string(), "{text}");
    }
}

/// The database of a shop, beside it.
pub(crate) async fn store(url: &str) -> Store {
    let settings = DatabaseSettings { url: url.to_owned(), readers: 1, writers: 2 };
    Store::connect(&settings, Arc::new(SystemClock)).await.expect("it connects")
}

/// Gives all events up that wait; their ids.
pub(crate) async fn give_up_all(store: &Store) -> Vec<i64> {
    let now = SystemClock.now();
    let leased = store.lease(100, now, now + TimeDelta::seconds(30)).await.expect("a lease");
    let given_up = |id| FailedEvent { id, error: "refused".into(), attempts: 1, retry_at: None };
    let ids: Vec<i64> = leased.events.iter().map(|event| event.id).collect();
    let failed = ids.iter().copied().map(given_up).collect();
    store.settle(&leased, &Settlement { failed, ..Settlement::default() }, now).await.expect("settled");
    ids
}

async fn fill(url: &str) {
    let store = store(url).await;
    store.migrate_up().await.expect("it migrates");
    store.seed(&plan(), &|_| {}).await.expect("it can be filled");
    store.close().await;
}

fn plan() -> SeedPlan {
    let user = |number: usize, balance| {
        let name = format!("Customer {number}").parse().unwrap();
        let email = format!("customer{number}@example.com").parse().unwrap();
        (Profile { name, email, phone: None }, Money::from_minor(balance))
    };
    let product = |name: &str, price, stock| SeedProduct {
        name: name.to_owned(),
        description: format!("A description of {name}"),
        price: Money::from_minor(price),
        stock,
    };
    let tenth = Discount::Percent(Decimal::TEN);
    let five_thousand = Discount::Fixed(Money::from_minor(500_000));
    SeedPlan {
        users: vec![user(1, 10_000_000), user(2, 5_000_000), user(3, 0)],
        products: vec![
            product("유기농 면 티셔츠", 1_990_000, 10),
            product("양말", 500_050, 5),
            product("품절 상품", 10_000, 0),
        ],
        coupons: vec![
            coupon("WELCOME10", tenth, 0, 100, (-1, 1)),
            coupon("FLASH5000", five_thousand, 2_000_000, 1, (-1, 1)),
            coupon("OVER", tenth, 0, 1, (-2, -1)),
            coupon("LATER", tenth, 0, 1, (1, 2)),
        ],
        orders: None,
    }
}

/// The window is in days from now.
fn coupon(code: &str, discount: Discount, minimum: i64, quantity: i64, window: (i64, i64)) -> SeedCoupon {
    let day = |days| SystemClock.now() + TimeDelta::days(days);
    SeedCoupon {
        code: code.parse().unwrap(),
        name: format!("The coupon {code}"),
        discount,
        min_order_amount: Money::from_minor(minimum),
        max_discount: None,
        claim_starts_at: day(window.0),
        claim_ends_at: day(window.1),
        valid_until: None,
        valid_days: None,
        total_quantity: quantity,
    }
}
