//! What is sold to whom: the same shop and the same baskets for the floor and for the server.

use std::fmt;

use jangteo_domain::{OrderRequest, ProductId, Quantity, UserId};

/// Customers, with ids from 1.
pub(crate) const USERS: i64 = 20_000;
/// Products, with ids from 1.
pub(crate) const PRODUCTS: i64 = 200;
/// Minor units in every wallet at first: enough for every order of a run, and half of the default wallet cap, so that
/// wallets can be charged.
pub(crate) const BALANCE: i64 = 50_000_000;
/// Minor units that are charged at once: whole units, and so few that no wallet reaches its cap.
pub(crate) const CHARGE: i64 = 1_000;
/// Pieces of every product at first.
pub(crate) const STOCK: i64 = 1_000_000_000;

/// The coupon that everybody wants.
pub(crate) const STAMPEDE: &str = "STAMPEDE";
/// How many there are of it.
pub(crate) const COUPONS: i64 = 1_000;
/// Another one, for claims before the stampede.
pub(crate) const WARM_UP: &str = "WARM-UP";
/// How many there are of that one.
pub(crate) const COUPONS_TO_WARM_UP: i64 = 2_000;

/// The product that everybody wants.
pub(crate) const HOT_PRODUCT: i64 = 1;

/// Which database is underneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    /// MariaDB or MySQL, over TCP.
    Mysql,
    /// The embedded one.
    Sqlite,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mysql => "MariaDB",
            Self::Sqlite => "SQLite",
        })
    }
}

/// How orders choose their products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mix {
    /// Two products at random.
    Spread,
    /// The hot product, and another one at random.
    Hot,
    /// The hot product alone.
    HotAlone,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spread => "spread",
            Self::Hot => "hot",
            Self::HotAlone => "hot, one line",
        })
    }
}

/// What one customer buys, one piece each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Basket {
    /// Who.
    pub(crate) user: i64,
    /// What: one or two products, no two the same.
    pub(crate) products: Vec<i64>,
}

impl Mix {
    /// Lines in each order.
    pub(crate) fn lines(self) -> usize {
        match self {
            Self::Spread | Self::Hot => 2,
            Self::HotAlone => 1,
        }
    }

    /// A basket at random.
    pub(crate) fn basket(self) -> Basket {
        let user = any_user();
        let products = match self {
            Self::Spread => {
                let first = rand::random_range(1..=PRODUCTS);
                vec![first, another_than(first)]
            }
            Self::Hot => vec![HOT_PRODUCT, another_than(HOT_PRODUCT)],
            Self::HotAlone => vec![HOT_PRODUCT],
        };
        Basket { user, products }
    }
}

/// Any customer, each as likely.
pub(crate) fn any_user() -> i64 {
    rand::random_range(1..=USERS)
}

/// Any other product, each as likely.
fn another_than(product: i64) -> i64 {
    let other = rand::random_range(1..PRODUCTS);
    if other < product { other } else { other + 1 }
}

impl Basket {
    /// As JSON, for `POST /api/v1/orders`.
    pub(crate) fn to_json(&self) -> String {
        let items: Vec<String> =
            self.products.iter().map(|product| format!(r#"{{"productId":{product},"qty":1}}"#)).collect();
        format!(r#"{{"items":[{}]}}"#, items.join(","))
    }

    /// As the domain takes it.
    pub(crate) fn to_request(&self) -> anyhow::Result<OrderRequest> {
        let one = Quantity::new(1)?;
        let lines = self.products.iter().map(|&product| (ProductId(product), one));
        Ok(OrderRequest::new(UserId(self.user), lines, None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hot_order_has_the_hot_product_and_another_one() {
        for _ in 0..1000 {
            let products = Mix::Hot.basket().products;
            assert_eq!(products[0], HOT_PRODUCT);
            assert!((2..=PRODUCTS).contains(&products[1]));
        }
    }

    #[test]
    fn a_spread_order_has_two_products_of_the_catalogue() {
        for _ in 0..1000 {
            let products = Mix::Spread.basket().products;
            assert_ne!(products[0], products[1]);
            assert!(products.iter().all(|product| (1..=PRODUCTS).contains(product)));
        }
    }

    #[test]
    fn a_basket_is_written_as_the_api_reads_it() {
        let basket = Basket { user: 1, products: vec![7, 3] };
        assert_eq!(basket.to_json(), r#"{"items":[{"productId":7,"qty":1},{"productId":3,"qty":1}]}"#);
    }
}
