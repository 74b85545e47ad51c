//! What a load needs of a shop: something in stock, customers with money, perhaps a coupon.

use std::cell::Cell;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::clerk::{Clerk, unwanted};
use crate::journeys::{Credentials, Customer, Item, Site};

/// Different products that are bought at most.
const PRODUCTS: usize = 200;

/// The most that is charged into the first wallet, to find out how much a wallet may hold.
const LARGEST_PURSE: f64 = 1_000_000.0;

/// Parts of a purse that one piece may cost, so that an order of two leaves something.
const PIECES_IN_A_PURSE: f64 = 8.0;

/// Who registers customers at the same time.
const CLERKS: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    content: Vec<Entry>,
    total_pages: usize,
}

#[derive(Deserialize)]
struct Entry {
    id: i64,
}

#[derive(Deserialize)]
struct Product {
    id: i64,
    price: f64,
    stock: i64,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    id: i64,
    price: f64,
    stock: i64,
}

#[derive(Deserialize)]
struct Offer {
    status: String,
}

#[derive(Deserialize)]
struct User {
    id: i64,
}

/// What is in stock; of a product with variants, the one of which there is most.
pub(super) async fn find_products(clerk: &mut Clerk<'_>) -> Result<Vec<Item>> {
    let mut found = Vec::new();
    for page in 0.. {
        let path = format!("/products?inStock=true&size=100&page={page}");
        let Page { content, total_pages } = clerk.get(&path).await?;
        found.extend(content.into_iter().map(|entry| entry.id));
        if page + 1 >= total_pages || found.len() >= PRODUCTS {
            break;
        }
    }
    found.truncate(PRODUCTS);
    let mut items = Vec::new();
    for product in found {
        items.extend(to_buy(&clerk.get(&format!("/products/{product}")).await?));
    }
    ensure!(
        !items.is_empty(),
        "nothing is in stock: the shop needs products first. `jangteo seed --products 200 --stock 1000000` makes some"
    );
    Ok(items)
}

fn to_buy(product: &Product) -> Option<Item> {
    let Product { id, price, stock, ref variants } = *product;
    if variants.is_empty() {
        return (stock > 0).then_some(Item { product: id, variant: None, price });
    }
    let most = variants.iter().filter(|variant| variant.stock > 0).max_by_key(|variant| variant.stock)?;
    Some(Item { product: id, variant: Some(most.id), price: most.price })
}

/// What customers with such a purse can buy several of.
pub(super) fn affordable(items: Vec<Item>, purse: f64) -> Result<Vec<Item>> {
    let dearest = purse / PIECES_IN_A_PURSE;
    let items: Vec<Item> = items.into_iter().filter(|item| item.price <= dearest).collect();
    ensure!(
        !items.is_empty(),
        "everything in stock costs more than {dearest:.2}, an eighth of what a wallet may hold: raise the \
         deployment's JANGTEO_WALLET_MAX_BALANCE or add something cheaper"
    );
    Ok(items)
}

/// That there is such a coupon and it can be claimed.
pub(super) async fn check_coupon(clerk: &mut Clerk<'_>, code: &str) -> Result<()> {
    let path = format!("/coupons/{code}");
    let (status, body) = clerk.ask(Method::GET, &path, None, None).await?;
    match status {
        StatusCode::OK => {
            let Offer { status } = serde_json::from_slice(&body)?;
            ensure!(status == "OPEN", "the coupon {code} cannot be claimed: it is {status}");
            Ok(())
        }
        StatusCode::NOT_FOUND => bail!("there is no coupon {code}: GET /api/v1/coupons lists those on offer"),
        _ => Err(unwanted(&path, status, &body)),
    }
}

/// So many new customers with half of a purse each, and how much a purse holds.
pub(super) async fn register(
    site: &Site,
    credentials: &Credentials,
    customers: usize,
) -> Result<(Vec<Customer>, f64)> {
    let run: u32 = rand::random();
    let mut clerk = Clerk::arrive(site, credentials).await?;
    // Buys nothing: the wallet is full.
    let first = new_user(&mut clerk, run, 0).await?;
    let purse = largest_charge(&mut clerk, first).await?;
    let (next, half) = (Cell::new(1), purse / 2.0);
    let clerks = (0..CLERKS).map(|_| async {
        let mut clerk = Clerk::arrive(site, credentials).await?;
        let mut served = Vec::new();
        while next.get() <= customers {
            let user = new_user(&mut clerk, run, next.replace(next.get() + 1)).await?;
            ensure!(charge(&mut clerk, user, half).await?, "a new wallet cannot be charged with {half:.2}");
            served.push(Customer { identity: credentials.identity(user, false)?, balance: half });
        }
        anyhow::Ok(served)
    });
    Ok((try_join_all(clerks).await?.concat(), purse))
}

async fn new_user(clerk: &mut Clerk<'_>, run: u32, number: usize) -> Result<i64> {
    let body =
        format!(r#"{{"name":"Load {run:08x} {number}","email":"load-{run:08x}-{number}@example.com"}}"#);
    let (status, body) = clerk.ask(Method::POST, "/users", None, Some(body)).await?;
    match status {
        StatusCode::CREATED => {
            let User { id } = serde_json::from_slice(&body).context("no Jangteo registers like this")?;
            Ok(id)
        }
        _ => Err(unwanted("/users", status, &body)),
    }
}

/// The most, halved until the wallet takes it.
async fn largest_charge(clerk: &mut Clerk<'_>, user: i64) -> Result<f64> {
    let mut amount = LARGEST_PURSE;
    while amount >= 1.0 {
        if charge(clerk, user, amount).await? {
            return Ok(amount);
        }
        amount = (amount / 2.0).floor();
    }
    bail!("the wallets of this deployment hold nothing")
}

/// Whether the wallet takes it.
async fn charge(clerk: &mut Clerk<'_>, user: i64, amount: f64) -> Result<bool> {
    let (path, body) = ("/wallets/charge", format!(r#"{{"amount":{amount:.2}}}"#));
    let (status, body) = clerk.ask(Method::POST, path, Some(user), Some(body)).await?;
    match status {
        StatusCode::OK => Ok(true),
        StatusCode::CONFLICT => Ok(false),
        _ => Err(unwanted(path, status, &body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bought_is_in_stock_and_names_its_variant() {
        let product = |stock, variants| Product { id: 7, price: 5.0, stock, variants };
        let variant = |id, stock| Variant { id, price: id as f64, stock };
        assert_eq!(to_buy(&product(0, vec![])), None);
        assert_eq!(to_buy(&product(1, vec![])).unwrap().variant, None);
        let bought = to_buy(&product(9, vec![variant(1, 2), variant(2, 7), variant(3, 0)])).unwrap();
        assert_eq!(bought, Item { product: 7, variant: Some(2), price: 2.0 });
        assert_eq!(to_buy(&product(0, vec![variant(1, 0)])), None);
    }

    #[test]
    fn what_is_too_dear_is_left_alone() {
        let item = |price| Item { product: 1, variant: None, price };
        let left = affordable(vec![item(100.0), item(126.0), item(125.0)], 1000.0).unwrap();
        assert_eq!(left, [item(100.0), item(125.0)]);
        let error = affordable(vec![item(126.0)], 1000.0).unwrap_err().to_string();
        assert!(error.contains("JANGTEO_WALLET_MAX_BALANCE"), "{error}");
    }
}
