//! The floor of charges: one transaction each, which locks the wallet's row, straight through the driver.

use std::cell::RefCell;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::wallet::WalletPolicy;
use jangteo_domain::{Money, UserId, Wallet};
use sqlx::{Connection, MySqlConnection};

use super::{connect_mysql, share_of};
use crate::measure::{Answer, Lengths, Tally, Window, on_own_thread};
use crate::scenario::{BALANCE, CHARGE, any_user};

const LOCK: &str = "SELECT balance FROM wallets WHERE user_id = ? FOR UPDATE";
const CREDIT: &str = "UPDATE wallets SET balance = ?, updated_at = ? WHERE user_id = ?";
const ENTER: &str = "INSERT INTO ledger_entries (user_id, kind, amount, balance_after, created_at) \
                     VALUES (?, 'CHARGE', ?, ?, ?)";

/// As a shop allows by default.
fn policy() -> WalletPolicy {
    WalletPolicy { min_charge: Money::from_minor(100), max_balance: Money::from_minor(2 * BALANCE) }
}

/// Charges to measure.
#[derive(Clone, Debug)]
pub(crate) struct ChargeFloor {
    /// A seeded database on MySQL or MariaDB nobody else uses.
    pub(crate) database_url: String,
    /// How many connections charge wallets at the same time.
    pub(crate) connections: usize,
    /// For how long.
    pub(crate) lengths: Lengths,
}

impl ChargeFloor {
    /// Charges wallets until the time is over, on a thread for each processor, as the floor of orders.
    pub(crate) async fn run(self) -> Result<Tally> {
        let window = Window::after_warm_up(self.lengths);
        let threads = available_parallelism()?.get().min(self.connections);
        let shares = (0..threads).map(|thread| {
            let (url, share) = (self.database_url.clone(), share_of(self.connections, thread, threads));
            on_own_thread(move || async move {
                let tally = RefCell::new(Tally::new(window));
                try_join_all((0..share).map(|_| keep_charging(&url, window, &tally))).await?;
                Ok(tally.into_inner())
            })
        });
        let tallies = try_join_all(shares).await?;
        Ok(tallies.into_iter().fold(Tally::new(window), Tally::and))
    }
}

async fn keep_charging(url: &str, window: Window, tally: &RefCell<Tally>) -> Result<()> {
    let mut connection = connect_mysql(url).await?;
    while !window.is_over() {
        let (user, asked) = (UserId(any_user()), Instant::now());
        charge(&mut connection, user).await?;
        tally.borrow_mut().add(Answer::Good, asked);
    }
    Ok(connection.close().await?)
}

/// By the rules of the domain. One row is locked, so nobody waits in a circle.
async fn charge(connection: &mut MySqlConnection, user: UserId) -> Result<()> {
    let mut transaction = connection.begin().await?;
    let (balance,): (i64,) = sqlx::query_as(LOCK).bind(user.0).fetch_one(&mut *transaction).await?;
    let mut wallet = Wallet { user, balance: Money::from_minor(balance) };
    let entry = wallet.charge(Money::from_minor(CHARGE), policy(), SystemClock.now());
    let entry = entry.context("no wallet is full")?;
    let (amount, after) = (entry.amount.minor(), entry.balance_after.minor());
    sqlx::query(CREDIT).bind(after).bind(entry.at).bind(user.0).execute(&mut *transaction).await?;
    let row = sqlx::query(ENTER).bind(user.0).bind(amount).bind(after).bind(entry.at);
    row.execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}
