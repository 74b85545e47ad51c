use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use super::errand::Errand;
use super::kind::{Kind, Verdict};
use super::logbook::{End, Logbook};
use super::shop::{Customer, Item, Shop};
use crate::load::Connection;
use crate::measure::Answer;

/// What is charged at once.
const CHARGE: f64 = 100.0;

/// How long to wait for an answer: longer than any server that still works takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is not what was asked for.
#[derive(Debug)]
pub(super) enum Setback {
    /// A shop in order may say no.
    Refused,
    /// It does not work as it should.
    Failed(Answer),
    /// There is no going on.
    Broken(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Setback {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

/// A connection on which one customer after the other goes about an errand.
pub(super) struct Visitor<'a> {
    shop: &'a Shop,
    log: &'a RefCell<Logbook>,
    connection: Connection,
}

/// What an order's answer says that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: i64,
    user_point_balance: f64,
}

#[derive(Deserialize)]
struct Wallet {
    balance: f64,
}

impl<'a> Visitor<'a> {
    pub(super) async fn arrive(shop: &'a Shop, log: &'a RefCell<Logbook>) -> Result<Self> {
        Ok(Self { shop, log, connection: Connection::open(shop.site.address).await? })
    }

    /// Goes about an errand that was due at that moment, and keeps the wallet filled.
    pub(super) async fn run(&mut self, errand: Errand, due: Instant) -> Result<()> {
        let shop = self.shop;
        let mut customer = shop.next_customer().context("there are fewer customers than clients")?;
        let outcome = self.go(errand, &mut customer, due).await;
        let end = match outcome {
            Ok(()) => End::Granted,
            Err(Setback::Refused) => End::Refused,
            Err(Setback::Failed(answer)) => End::Failed(answer),
            Err(Setback::Broken(error)) => return Err(error),
        };
        if errand.is_a_journey() {
            self.log.borrow_mut().add_journey(errand, end, due);
        }
        // What could not be ordered would be in the way of the next order.
        if errand == Errand::CartToPaid && end != End::Granted {
            let cleared = self.ask(Kind::ClearCart, Some(&customer), "/cart", None, Instant::now()).await;
            tolerate(cleared.map(drop))?;
        }
        if customer.balance < shop.purse / 4.0 {
            let missing = top_up(shop.purse, customer.balance);
            let filled = self.charge(Kind::TopUp, &mut customer, missing, Instant::now()).await;
            tolerate(filled)?;
        }
        shop.put_back(customer);
        Ok(())
    }

    async fn go(&mut self, errand: Errand, customer: &mut Customer, due: Instant) -> Result<(), Setback> {
        let shop = self.shop;
        match errand {
            Errand::ListProducts => {
                let path = format!("/products?page={}", shop.any_page());
                self.ask(Kind::ListProducts, None, &path, None, due).await?;
            }
            Errand::ShowProduct => {
                let path = format!("/products/{}", shop.any_item().product);
                self.ask(Kind::ShowProduct, None, &path, None, due).await?;
            }
            Errand::ListPopular => {
                self.ask(Kind::ListPopular, None, "/stats/popular-products", None, due).await?;
            }
            Errand::Charge => self.charge(Kind::Charge, customer, CHARGE, due).await?,
            Errand::Order => {
                self.order(customer, &shop.any_two(), due).await?;
            }
            Errand::OrderHot => {
                self.order(customer, &shop.hot_and_another(), due).await?;
            }
            Errand::CartToPaid => self.go_from_cart_to_paid(customer, due).await?,
            Errand::ChangeOfMind => {
                let order = self.order(customer, &shop.any_two(), due).await?;
                let path = format!("/orders/{order}/cancel");
                let cancelled =
                    self.ask(Kind::CancelOrder, Some(customer), &path, None, Instant::now()).await?;
                customer.balance = read::<Order>(&cancelled)?.user_point_balance;
            }
            Errand::Claim => {
                let coupon = shop.coupon.as_deref().context("there is no coupon to claim")?;
                let path = format!("/coupons/{coupon}/claim");
                self.ask(Kind::ClaimCoupon, Some(customer), &path, None, due).await?;
            }
        }
        Ok(())
    }

    async fn go_from_cart_to_paid(&mut self, customer: &mut Customer, due: Instant) -> Result<(), Setback> {
        let mut due = due;
        for item in self.shop.any_two() {
            let line = Some(item.to_json());
            self.ask(Kind::AddToCart, Some(customer), "/cart/items", line, due).await?;
            due = Instant::now();
        }
        self.ask(Kind::ShowCart, Some(customer), "/cart", None, Instant::now()).await?;
        let later = Some(r#"{"payment":"DEFERRED"}"#.to_owned());
        let ordered = self.ask(Kind::OrderCart, Some(customer), "/cart/order", later, Instant::now()).await?;
        let path = format!("/orders/{}/pay", read::<Order>(&ordered)?.order_id);
        let paid = self.ask(Kind::PayOrder, Some(customer), &path, None, Instant::now()).await?;
        customer.balance = read::<Order>(&paid)?.user_point_balance;
        Ok(())
    }

    /// Its number.
    async fn order(&mut self, customer: &mut Customer, items: &[Item], due: Instant) -> Result<i64, Setback> {
        let lines: Vec<String> = items.iter().map(|item| item.to_json()).collect();
        let body = format!(r#"{{"items":[{}]}}"#, lines.join(","));
        let placed = self.ask(Kind::PlaceOrder, Some(customer), "/orders", Some(body), due).await?;
        let Order { order_id, user_point_balance } = read(&placed)?;
        customer.balance = user_point_balance;
        Ok(order_id)
    }

    async fn charge(
        &mut self,
        kind: Kind,
        customer: &mut Customer,
        amount: f64,
        due: Instant,
    ) -> Result<(), Setback> {
        let body = Some(format!(r#"{{"amount":{amount:.2}}}"#));
        let charged = self.ask(kind, Some(customer), "/wallets/charge", body, due).await?;
        customer.balance = read::<Wallet>(&charged)?.balance;
        Ok(())
    }

    /// One request, noted. What the answer says if it grants it.
    async fn ask(
        &mut self,
        kind: Kind,
        customer: Option<&Customer>,
        path: &str,
        body: Option<String>,
        due: Instant,
    ) -> Result<Bytes, Setback> {
        let shop = self.shop;
        let identity = customer.map_or(&[][..], |customer| &customer.identity);
        let request = shop.site.request(kind.method(), path, identity, body)?;
        let answer = self.send(request).await?;
        let verdict = match &answer {
            Some((status, body)) => kind.judge(*status, body),
            None => Verdict::Unexpected(Answer::Lost),
        };
        let (end, setback) = match verdict {
            Verdict::Granted => (End::Granted, None),
            Verdict::Refused(products) => {
                shop.sold_out(&products);
                (End::Refused, Some(Setback::Refused))
            }
            Verdict::Unexpected(answer) => (End::Failed(answer), Some(Setback::Failed(answer))),
        };
        self.log.borrow_mut().add(kind, end, due);
        match setback {
            None => Ok(answer.map(|(_, body)| body).unwrap_or_default()),
            Some(setback) => Err(setback),
        }
    }

    /// Nothing when no answer came; there is a new connection then.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Option<(StatusCode, Bytes)>> {
        // Whoever is between us may end connections that rest: that is no answer to this request.
        if !self.connection.is_open() {
            self.connection = Connection::open(self.shop.site.address).await?;
        }
        if let Ok(Ok(answer)) = timeout(PATIENCE, self.connection.fetch(request)).await {
            return Ok(Some(answer));
        }
        self.connection = Connection::open(self.shop.site.address).await?;
        Ok(None)
    }
}

/// Goes on when the shop said no, or failed: that is noted already.
fn tolerate(outcome: Result<(), Setback>) -> Result<()> {
    match outcome {
        Err(Setback::Broken(error)) => Err(error),
        Ok(()) | Err(Setback::Refused | Setback::Failed(_)) => Ok(()),
    }
}

/// To half of what a wallet may hold, so that it can be charged and money can come back.
fn top_up(purse: f64, balance: f64) -> f64 {
    (purse / 2.0 - balance).max(1.0)
}

fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T> {
    serde_json::from_slice(body).context("the answer is not what this API answers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_is_filled_to_half_of_what_it_may_hold() {
        assert_eq!(top_up(1_000_000.0, 200_000.0), 300_000.0);
        assert_eq!(top_up(10.0, 4.9), 1.0);
    }
}
