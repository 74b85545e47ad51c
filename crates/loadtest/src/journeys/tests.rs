use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::measure::Answer;

/// A shop that grants everything while it has stock, of which every order and every line of a cart takes one.
struct Counter {
    stock: AtomicI64,
}

impl Counter {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().trim_start_matches("/market/api/v1").to_owned();
        let asked = format!("{} {path}", request.method());
        let is_known = request.headers().contains_key("x-user-id");
        drop(request.collect().await);
        let order = r#"{"orderId":5,"userPointBalance":10.00}"#;
        let (status, body) = match asked.as_str() {
            "POST /orders" | "POST /cart/items" if self.stock.fetch_sub(1, Ordering::Relaxed) <= 0 => {
                (409, r#"{"error":"OUT_OF_STOCK","details":[{"productId":1}]}"#)
            }
            "POST /orders" | "POST /cart/items" | "POST /cart/order" => (201, order),
            "POST /orders/5/pay" | "POST /orders/5/cancel" | "GET /cart" => (200, order),
            "POST /wallets/charge" => (200, r#"{"balance":500.00}"#),
            "DELETE /cart" => (204, ""),
            _ => (500, ""),
        };
        let status = if is_known { status } else { 401 };
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }
}

async fn open(stock: i64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counter = Arc::new(Counter { stock: stock.into() });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            let answer = service_fn(move |request| {
                let counter = Arc::clone(&counter);
                async move { Ok::<_, Infallible>(counter.answer(request).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

fn shop(address: SocketAddr) -> Shop {
    let site = Site { address, host: HeaderValue::from_static("shop"), base: "/market".to_owned() };
    let items = (1..=3).map(|product| Item { product, variant: None, price: 1.0 }).collect();
    let customer = |user| {
        let identity = Credentials::Believed.identity(user, false).unwrap();
        Customer { identity, balance: 500.0 }
    };
    Shop::new(site, items, (1..=4).map(customer).collect(), 1000.0, None).unwrap()
}

async fn visit(scenario: Scenario, stock: i64, pace: Pace) -> Logbook {
    let lengths = Lengths { warm_up: Duration::ZERO, measured: Duration::from_millis(200) };
    Visit { scenario, clients: 4, pace, lengths }.run(&shop(open(stock).await)).await.unwrap()
}

#[tokio::test]
async fn a_cart_is_filled_ordered_and_paid() {
    let log = visit(Scenario::CartToPaid, i64::MAX, Pace::Unbounded).await;
    let paid = log.granted(Kind::PayOrder);
    assert!(paid > 4);
    assert_eq!(log.granted(Kind::AddToCart), 2 * paid);
    assert_eq!((log.granted(Kind::ShowCart), log.granted(Kind::OrderCart)), (paid, paid));
    assert_eq!(log.granted(Kind::ClearCart), 0);
    let figures = log.figures(Scenario::CartToPaid);
    assert!(figures.rate > 0.0 && figures.rate <= 5.0 * paid as f64 && figures.bad.is_empty());
}

#[tokio::test]
async fn who_spent_too_much_charges_the_wallet_before_going_on() {
    let log = visit(Scenario::OrderSpread, i64::MAX, Pace::Unbounded).await;
    assert_eq!(log.granted(Kind::TopUp), log.granted(Kind::PlaceOrder));
}

#[tokio::test]
async fn what_is_sold_out_is_told_and_not_counted_as_sold() {
    let log = visit(Scenario::OrderHot, 7, Pace::Unbounded).await;
    assert_eq!(log.granted(Kind::PlaceOrder), 7);
    let all = log.breakdown().all;
    assert!(all.refused > 0 && all.figures.bad.is_empty());
}

#[tokio::test]
async fn a_cart_that_cannot_be_filled_is_emptied() {
    let log = visit(Scenario::CartToPaid, 3, Pace::Unbounded).await;
    assert!(log.granted(Kind::OrderCart) <= 1);
    assert!(log.granted(Kind::ClearCart) > 4);
    assert!(log.breakdown().journeys[0].refused > 4);
}

#[tokio::test]
async fn what_no_shop_in_order_answers_is_counted_apart() {
    let log = visit(Scenario::Browse, 1, Pace::Unbounded).await;
    let Breakdown { all, answered, .. } = log.breakdown();
    assert_eq!(all.figures.bad[&Answer::Status(401)], answered);
    assert_eq!(all.figures.rate, 0.0);
}

#[tokio::test]
async fn an_open_loop_begins_as_many_journeys_as_it_is_told_to() {
    let log = visit(Scenario::CartToPaid, i64::MAX, Pace::PerSecond(100.0)).await;
    assert!((15..=20).contains(&log.granted(Kind::PayOrder)), "{}", log.granted(Kind::PayOrder));
}
