use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jangteo_application::{Clock, SystemClock};
use rand::seq::SliceRandom;
use serde_json::json;
use sha2::Sha256;

use super::site::Site;
use crate::scenario::{BALANCE, PRODUCTS, USERS, WARM_UP};

/// Products on a page of the list, unless asked otherwise.
const ON_A_PAGE: usize = 20;

/// Longer than any load.
const TOKENS_LAST: TimeDelta = TimeDelta::days(7);

/// How a deployment is told who asks.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// It believes `X-User-Id`.
    Believed,
    /// By tokens signed with its secret (HS256).
    Signed(String),
}

/// Headers that say who asks.
pub(crate) type Identity = Vec<(HeaderName, HeaderValue)>;

/// Somebody who buys.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    /// Who it is.
    pub(crate) identity: Identity,
    /// What the wallet held last: it tells when to charge it, and decides nothing.
    pub(crate) balance: f64,
}

/// Something that can be bought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Item {
    /// Which product.
    pub(crate) product: i64,
    /// As which of its variants, if it has any.
    pub(crate) variant: Option<i64>,
    /// Of one piece.
    pub(crate) price: f64,
}

/// A deployment as visitors know it.
pub(crate) struct Shop {
    /// Where it is.
    pub(crate) site: Site,
    /// What can be claimed, if anything.
    pub(crate) coupon: Option<String>,
    /// What a wallet may hold for sure.
    pub(crate) purse: f64,
    items: RefCell<Vec<Item>>,
    /// Those who are not on an errand. Each goes on one at a time: it is their cart and their wallet.
    customers: RefCell<VecDeque<Customer>>,
    pages: usize,
}

impl Credentials {
    /// What a customer shows, or an administrator.
    pub(crate) fn identity(&self, user: i64, is_admin: bool) -> Result<Identity> {
        match self {
            Self::Believed => {
                let user = (HeaderName::from_static("x-user-id"), HeaderValue::from(user));
                let role = (HeaderName::from_static("x-user-role"), HeaderValue::from_static("ADMIN"));
                Ok([user].into_iter().chain(is_admin.then_some(role)).collect())
            }
            Self::Signed(secret) => {
                Ok(vec![(AUTHORIZATION, format!("Bearer {}", token(secret, user, is_admin)).try_into()?)])
            }
        }
    }
}

/// A JSON Web Token as `jangteo token` makes it.
fn token(secret: &str, user: i64, is_admin: bool) -> String {
    let now = SystemClock.now();
    let (issued, expires) = (now.timestamp(), (now + TOKENS_LAST).timestamp());
    let roles: &[&str] = if is_admin { &["ADMIN"] } else { &[] };
    let claims = json!({"sub": user.to_string(), "roles": roles, "iat": issued, "exp": expires});
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let signed =
        format!("{}.{}", encode(br#"{"typ":"JWT","alg":"HS256"}"#), encode(claims.to_string().as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", encode(&mac.finalize().into_bytes()))
}

impl Item {
    /// As a line of an order or a cart.
    pub(crate) fn to_json(self) -> String {
        let Self { product, variant, .. } = self;
        match variant {
            Some(variant) => format!(r#"{{"productId":{product},"variantId":{variant},"qty":1}}"#),
            None => format!(r#"{{"productId":{product},"qty":1}}"#),
        }
    }
}

/// For estimates.
fn from_minor(amount: i64) -> f64 {
    amount as f64 / 100.0
}

impl Shop {
    /// One with these products and customers.
    pub(crate) fn new(
        site: Site,
        items: Vec<Item>,
        customers: Vec<Customer>,
        purse: f64,
        coupon: Option<String>,
    ) -> Result<Self> {
        ensure!(!items.is_empty(), "there is nothing to buy");
        let pages = items.len().div_ceil(ON_A_PAGE);
        let (items, customers) = (RefCell::new(items), RefCell::new(customers.into()));
        Ok(Self { site, coupon, purse, items, customers, pages })
    }

    /// The benchmark's.
    pub(crate) fn of_the_benchmark(server: SocketAddr) -> Result<Self> {
        let site = Site { address: server, host: server.to_string().try_into()?, base: String::new() };
        let item = |product| Item { product, variant: None, price: from_minor(10_000 + 500 * product) };
        let customer = |user| {
            let identity = Credentials::Believed.identity(user, false)?;
            anyhow::Ok(Customer { identity, balance: from_minor(BALANCE) })
        };
        let mut customers = (1..=USERS).map(customer).collect::<Result<Vec<_>>>()?;
        customers.shuffle(&mut rand::rng());
        let items = (1..=PRODUCTS).map(item).collect();
        Self::new(site, items, customers, 2.0 * from_minor(BALANCE), Some(WARM_UP.to_owned()))
    }

    /// Who has waited longest.
    pub(crate) fn next_customer(&self) -> Option<Customer> {
        self.customers.borrow_mut().pop_front()
    }

    /// Back in line.
    pub(crate) fn put_back(&self, customer: Customer) {
        self.customers.borrow_mut().push_back(customer);
    }

    /// A page of the product list that exists.
    pub(super) fn any_page(&self) -> usize {
        rand::random_range(0..self.pages)
    }

    /// Any product.
    pub(super) fn any_item(&self) -> Item {
        let items = self.items.borrow();
        items[rand::random_range(0..items.len())]
    }

    /// Two different products, unless there is only one.
    pub(super) fn any_two(&self) -> Vec<Item> {
        let first = rand::random_range(0..self.items.borrow().len());
        self.with_another(first)
    }

    /// The product that everybody wants and any other, unless there is only one.
    pub(super) fn hot_and_another(&self) -> Vec<Item> {
        self.with_another(0)
    }

    fn with_another(&self, first: usize) -> Vec<Item> {
        let items = self.items.borrow();
        if items.len() == 1 {
            return vec![items[0]];
        }
        let other = rand::random_range(0..items.len() - 1);
        let other = if other < first { other } else { other + 1 };
        vec![items[first], items[other]]
    }

    /// How many things nobody has found sold out.
    pub(crate) fn items_left(&self) -> usize {
        self.items.borrow().len()
    }

    /// Nobody asks for these any more, but for the last of all: somebody has to be told that it is sold out.
    pub(super) fn sold_out(&self, products: &[i64]) {
        let mut items = self.items.borrow_mut();
        for product in products {
            if items.len() > 1 {
                items.retain(|item| item.product != *product);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(products: i64) -> Shop {
        let address = ([127, 0, 0, 1], 1).into();
        let site = Site { address, host: HeaderValue::from_static("shop"), base: String::new() };
        let items = (1..=products).map(|product| Item { product, variant: None, price: 1.0 }).collect();
        Shop::new(site, items, Vec::new(), 1000.0, None).unwrap()
    }

    #[test]
    fn two_products_are_different_ones() {
        let shop = shop(3);
        for _ in 0..1000 {
            let [one, other] = shop.any_two()[..] else { panic!("there are two") };
            assert_ne!(one.product, other.product);
            let [hot, other] = shop.hot_and_another()[..] else { panic!("there are two") };
            assert!(hot.product == 1 && (2..=3).contains(&other.product));
        }
    }

    #[test]
    fn what_is_sold_out_is_not_asked_for_but_for_the_last() {
        let shop = shop(3);
        shop.sold_out(&[1, 3]);
        assert_eq!(shop.items_left(), 1);
        assert_eq!(shop.any_item().product, 2);
        assert_eq!(shop.any_two().len(), 1);
        shop.sold_out(&[2]);
        assert_eq!(shop.any_item().product, 2);
    }

    #[test]
    fn a_shop_without_anything_to_buy_is_no_place_to_visit() {
        let Shop { site, .. } = shop(1);
        assert!(Shop::new(site, Vec::new(), Vec::new(), 1.0, None).is_err());
    }

    #[test]
    fn a_line_names_its_variant_if_it_has_one() {
        let item = Item { product: 7, variant: None, price: 1.0 };
        assert_eq!(item.to_json(), r#"{"productId":7,"qty":1}"#);
        let variant = Item { variant: Some(3), ..item };
        assert_eq!(variant.to_json(), r#"{"productId":7,"variantId":3,"qty":1}"#);
    }

    #[test]
    fn a_token_says_who_asks_and_is_signed() {
        let identity = Credentials::Signed("secret".to_owned()).identity(7, true).unwrap();
        let [(name, value)] = &identity[..] else { panic!("one header") };
        assert_eq!(name, AUTHORIZATION);
        let token = value.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let [_, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!((&claims["sub"], &claims["roles"]), (&json!("7"), &json!(["ADMIN"])));
        assert_eq!(URL_SAFE_NO_PAD.decode(signature).unwrap().len(), 32);
    }

    #[test]
    fn headers_that_are_believed_name_the_administrator_too() {
        let names = |is_admin| {
            let identity = Credentials::Believed.identity(7, is_admin).unwrap();
            identity.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["x-user-id"]);
        assert_eq!(names(true), ["x-user-id", "x-user-role"]);
    }
}
