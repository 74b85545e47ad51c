//! Filling the shop.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use chrono::TimeDelta;
use clap::Args;
use jangteo_application::seeding::{PastOrders, SeedCoupon, SeedPlan, SeedProduct, SeedProgress, Seeder};
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::Money;
use jangteo_domain::user::Profile;

use super::output::{counted, tell};
use super::serve::bring_up_to_date;
use super::{open, settings};
use crate::config::{Settings, Sources};

mod campaign;

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
    /// A coupon, as CODE:PERCENT:10:QTY or CODE:FIXED:5000:QTY, then perhaps terms; repeatable
    ///
    /// Terms follow as ,KEY=VALUE each. Those that are left out are as in brackets.
    ///
    ///   starts=TIME  from when it can be claimed [yesterday]
    ///   ends=TIME    until when it can be claimed [a year from now, or from starts if that is later]
    ///   until=TIME   until when a claimed one can be used [forever]
    ///   days=N       for how many days after the claim it can be used, up to 36500 [forever]
    ///   min=AMOUNT   the least total of an order to use it on [0]
    ///   max=AMOUNT   the most it takes off [no limit]
    ///   name=TEXT    a title for people, up to 100 characters and no comma [the code]
    ///
    /// TIME is as 2026-12-01T00:00:00Z, or counts from now: +90s, -5m, +1h, +7d. For example
    ///
    ///   --coupon 'FLASH:FIXED:5000:1000,starts=+1h,ends=+2h,min=20000,days=30,name=Black Friday'
    #[arg(
        long = "coupon",
        value_name = "CODE:TYPE:VALUE:QTY[,KEY=VALUE]...",
        value_parser = campaign,
        verbatim_doc_comment
    )]
    coupons: Vec<SeedCoupon>,
    /// Orders there should be: those that are missing are made up, with all that belongs to them
    ///
    /// They were placed by all customers, for all products without variants, evenly over the past, and are paid, delivered, or
    /// cancelled. Customers charge their wallets for them, and keep the balance that --balance says at least. Products
    /// receive what is sold. Made in portions, a transaction each: if it is interrupted, the same command goes on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    orders: u64,
    /// How many days the orders go back at most; they begin after the last thing that happened in the shop
    #[arg(long, value_name = "D", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Orders in a transaction: some seconds of work, or less.
const AT_A_TIME: u32 = 50_000;

impl Arguments {
    fn asks_for_anything(&self) -> bool {
        self.users > 0 || self.products > 0 || self.orders > 0 || !self.coupons.is_empty()
    }
}

fn balance(text: &str) -> Result<Money, String> {
    let balance: Money = text.parse().map_err(|error: jangteo_domain::MoneyError| error.to_string())?;
    if balance.is_negative() { Err("a balance is never negative".to_owned()) } else { Ok(balance) }
}

fn campaign(text: &str) -> Result<SeedCoupon, String> {
    campaign::parse(text, SystemClock.now())
}

pub(super) async fn run(sources: &Sources, arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(
        arguments.asks_for_anything(),
        "nothing to seed: say what there should be, such as \
         `jangteo seed --users 100 --products 20 --coupon WELCOME10:PERCENT:10:1000`"
    );
    given_once(&arguments.coupons)?;
    let settings = settings(sources)?;
    let store = open(&settings).await?;
    bring_up_to_date(&store, false).await?;
    let pace = Pace::default();
    let filled = store.seed(&plan(arguments, &settings), &|progress| show(progress, &pace)).await;
    let report = filled.context("cannot fill the shop")?;
    store.close().await;
    let (users, products) = (counted(report.users, "user"), counted(report.products, "product"));
    let (coupons, orders) = (counted(report.coupons, "coupon"), counted(report.orders, "order"));
    tell(&format!("\rcreated {users}, {products}, {coupons}, {orders}\n"));
    Ok(())
}

fn given_once(coupons: &[SeedCoupon]) -> anyhow::Result<()> {
    let mut codes = BTreeSet::new();
    match coupons.iter().find(|coupon| !codes.insert(&coupon.code)) {
        Some(coupon) => bail!("the coupon {} is given twice: what should it be?", coupon.code),
        None => Ok(()),
    }
}

/// A line that is written over, as there may be thousands of steps.
fn show(progress: SeedProgress, pace: &Pace) {
    let SeedProgress { what, done, total } = progress;
    let pace = if what == "orders" { pace.of(done, total) } else { String::new() };
    let end = if done >= total { "\n" } else { "" };
    tell(&format!("\r{what}: {done} of {total}{pace}{end}"));
}

/// How fast orders are made: since when, and how many there were.
#[derive(Default)]
struct Pace(OnceLock<(Instant, usize)>);

impl Pace {
    /// What to say about it once there is something.
    fn of(&self, done: usize, total: usize) -> String {
        let (since, before) = self.0.get_or_init(|| (Instant::now(), done));
        let seconds = since.elapsed().as_secs_f64();
        match done - before {
            0 => String::new(),
            made => {
                let rate = made as f64 / seconds;
                let left = (total - done) as f64 / rate;
                format!(
                    ", {rate:.0} a second, {:.0}:{:02.0} left ",
                    (left / 60.0).floor(),
                    (left % 60.0).floor()
                )
            }
        }
    }
}

fn plan(arguments: &Arguments, settings: &Settings) -> SeedPlan {
    SeedPlan {
        users: (1..=arguments.users).map(|number| (customer(number), arguments.balance)).collect(),
        products: (1..=arguments.products).map(|number| product(number, arguments.stock)).collect(),
        coupons: arguments.coupons.clone(),
        orders: (arguments.orders > 0).then(|| past_orders(arguments, settings)),
    }
}

fn past_orders(arguments: &Arguments, settings: &Settings) -> PastOrders {
    PastOrders {
        total: arguments.orders,
        days: arguments.days,
        at_a_time: AT_A_TIME,
        balance: arguments.balance,
        wallet: settings.wallet_policy(),
        events_kept_for: TimeDelta::hours(i64::from(settings.events_retention_hours)),
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
