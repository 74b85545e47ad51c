//! Filling the shop.

use std::str::FromStr;

use anyhow::{Context, ensure};
use clap::Args;
use jangteo_application::SystemClock;
use jangteo_application::seeding::{SeedPlan, SeedProduct, SeedProgress, Seeder};
use jangteo_domain::coupon::Discount;
use jangteo_domain::user::Profile;
use jangteo_domain::{CouponCode, Money};
use rust_decimal::Decimal;

use super::demo::coupon;
use super::output::{counted, tell};
use super::serve::bring_up_to_date;
use super::{open, settings};
use crate::config::Sources;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Customers there should be
    #[arg(long, value_name = "N", default_value_t = 0)]
    users: u32,
    /// Products there should be
    #[arg(long, value_name = "N", default_value_t = 0)]
    products: u32,
    /// Pieces of each new product
    #[arg(long, value_name = "S", default_value_t = 1000, value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000))]
    stock: i64,
    /// What is in each new wallet
    #[arg(long, value_name = "B", default_value = "100000", value_parser = balance)]
    balance: Money,
    /// A coupon, as CODE:PERCENT:10:QTY or CODE:FIXED:5000:QTY; repeatable
    #[arg(long = "coupon", value_name = "CODE:TYPE:VALUE:QTY")]
    coupons: Vec<CouponOffer>,
}

impl Arguments {
    fn asks_for_anything(&self) -> bool {
        self.users > 0 || self.products > 0 || !self.coupons.is_empty()
    }
}

fn balance(text: &str) -> Result<Money, String> {
    let balance: Money = text.parse().map_err(|error: jangteo_domain::MoneyError| error.to_string())?;
    if balance.is_negative() { Err("a balance is never negative".to_owned()) } else { Ok(balance) }
}

/// `CODE:PERCENT:10:QTY` or `CODE:FIXED:5000:QTY`.
#[derive(Debug, Clone)]
struct CouponOffer {
    code: CouponCode,
    discount: Discount,
    quantity: i64,
}

impl FromStr for CouponOffer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [code, kind, value, quantity] = text.split(':').collect::<Vec<_>>()[..] else {
            return Err("must be CODE:PERCENT:10:QTY or CODE:FIXED:5000:QTY".to_owned());
        };
        let code =
            code.parse().map_err(|error: jangteo_domain::coupon::CouponCodeError| error.to_string())?;
        let discount = match kind {
            "PERCENT" => Decimal::from_str_exact(value)
                .ok()
                .filter(|percent| {
                    *percent > Decimal::ZERO && *percent <= Decimal::ONE_HUNDRED && percent.scale() <= 2
                })
                .map(Discount::Percent)
                .ok_or("a percentage is above 0, at most 100, and has at most two decimals")?,
            "FIXED" => value
                .parse()
                .ok()
                .filter(|amount| *amount > Money::ZERO)
                .map(Discount::Fixed)
                .ok_or("an amount is above 0 and has at most two decimals")?,
            _ => return Err("the type must be PERCENT or FIXED".to_owned()),
        };
        let quantity = quantity.parse().ok().filter(|quantity| *quantity > 0);
        let quantity = quantity.ok_or("the quantity must be a whole number above 0")?;
        Ok(Self { code, discount, quantity })
    }
}

pub(super) async fn run(sources: &Sources, arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(
        arguments.asks_for_anything(),
        "nothing to seed: say what there should be, such as \
         `jangteo seed --users 100 --products 20 --coupon WELCOME10:PERCENT:10:1000`"
    );
    let store = open(&settings(sources)?).await?;
    bring_up_to_date(&store, false).await?;
    let report = store.seed(&plan(arguments), &show).await.context("cannot fill the shop")?;
    store.close().await;
    let (users, products) = (counted(report.users, "user"), counted(report.products, "product"));
    tell(&format!("\rcreated {users}, {products}, {}\n", counted(report.coupons, "coupon")));
    Ok(())
}

/// A line that is written over, as there may be thousands of steps.
fn show(progress: SeedProgress) {
    let SeedProgress { what, done, total } = progress;
    let end = if done >= total { "\n" } else { "" };
    tell(&format!("\r{what}: {done} of {total}{end}"));
}

fn plan(arguments: &Arguments) -> SeedPlan {
    SeedPlan {
        users: (1..=arguments.users).map(|number| (customer(number), arguments.balance)).collect(),
        products: (1..=arguments.products).map(|number| product(number, arguments.stock)).collect(),
        coupons: arguments
            .coupons
            .iter()
            .map(|offer| {
                coupon(offer.code.as_str(), offer.discount, Money::ZERO, offer.quantity, &SystemClock)
            })
            .collect(),
    }
}

fn customer(number: u32) -> Profile {
    Profile {
        name: format!("Customer {number}").parse().expect("a name"),
        email: format!("customer{number}@example.com").parse().expect("an e-mail address"),
        phone: None,
    }
}

/// Prices go from 1,000 to 20,000 and begin again.
fn product(number: u32, stock: i64) -> SeedProduct {
    SeedProduct {
        name: format!("Product {number}"),
        description: format!("The product number {number} of a made-up catalogue."),
        price: Money::from_minor(i64::from((number - 1) % 20 + 1) * 100_000),
        stock,
    }
}
