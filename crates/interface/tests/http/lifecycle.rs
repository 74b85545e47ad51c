use std::time::{Duration, Instant};

use crate::support::{SOCKS, Shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_was_begun_and_is_not_held_up_by_idle_connections() {
    let shop = Shop::open(jangteo_testkit::sqlite().await).await;
    shop.get("/health/live").send().await.expect("an answer, and then an idle connection");
    let orders: Vec<_> = (0..5).map(|_| tokio::spawn(shop.order(1, &[(SOCKS, 1)]).send())).collect();
    // Time for the requests to arrive.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stopping = Instant::now();
    shop.stop.stop();
    shop.running.await.expect("no panic").expect("a clean end");
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    for order in orders {
        assert_eq!(order.await.unwrap().expect("an answer").status(), 201);
    }
    assert!(shop.client.get(&shop.site).send().await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_shops_live_in_one_process() {
    let (one, other) = (
        Shop::open(jangteo_testkit::sqlite().await).await,
        Shop::open(jangteo_testkit::sqlite().await).await,
    );
    assert_ne!(one.site, other.site);
    one.order(1, &[(SOCKS, 1)]).send().await.unwrap();
    assert_eq!((one.stock(SOCKS).await, other.stock(SOCKS).await), (4.into(), 5.into()));
}
