//! Serving the API.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use jangteo_application::SystemClock;
use jangteo_application::seeding::Seeder;
use jangteo_infra_database::{DatabaseKind, Store};

use super::output::{counted, print};
use super::signals::StopSignals;
use super::{demo, open, settings};
use crate::config::{Authentication, LogFormat, Settings, Sources};
use crate::{Application, application, telemetry};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    /// Bring the schema up to date first; on SQLite that is done anyway
    #[arg(long)]
    pub(super) migrate: bool,
    /// Leave an empty database empty
    #[arg(long)]
    pub(super) no_demo: bool,
    /// Leave the scheduled jobs to others: to instances without this flag, or to `jangteo worker`
    #[arg(long)]
    pub(super) no_worker: bool,
}

pub(super) async fn run(sources: &Sources, arguments: Arguments) -> anyhow::Result<()> {
    // From the beginning: who stops the shop while it starts must not have to kill it.
    let mut signals = StopSignals::catch()?;
    let settings = settings(sources)?;
    // Before anything is written: who takes the wrong port must not find a demo shop afterwards.
    let listener = application::listen(settings.listen).with_context(|| advice(settings.listen))?;
    warn_about_authentication(&settings);
    let stocked = prepare(&settings, &arguments).await?;
    let mut application = Application::build_on(listener, settings.clone(), Arc::new(SystemClock)).await?;
    if !arguments.no_worker {
        application = application.with_worker(&settings).await?;
    }
    let redis = settings.redis_url.as_ref().map(tracing::field::display);
    tracing::info!(address = %application.address(), database = %settings.database_url, redis, "serving");
    if io::stdout().is_terminal() || telemetry::log_format(&settings) == LogFormat::Text {
        // The shop is open whether or not that can be said.
        drop(print(&welcome(application.address(), settings.authentication(), stocked)));
    }
    let stop = application.stop_handle();
    tokio::spawn(async move {
        signals.received().await;
        stop.stop();
    });
    application.run_until_stopped().await
}

/// What is in the shop when it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stocked {
    Demo,
    ByItsOwner,
    NotYet,
}

/// Brings the database up to date, and fills it when it is there to look around in.
async fn prepare(settings: &Settings, arguments: &Arguments) -> anyhow::Result<Stocked> {
    let store = open(settings).await?;
    bring_up_to_date(&store, arguments.migrate).await?;
    let demo = !arguments.no_demo && store.kind() == DatabaseKind::Sqlite;
    let empty = store.is_empty().await?;
    if demo && empty {
        store.seed(&demo::plan(&SystemClock), &|_| {}).await.context("cannot set up the demo shop")?;
        tracing::info!("the database was empty: it has a demo shop now (--no-demo leaves it empty)");
    }
    store.close().await;
    Ok(match (demo, empty) {
        (true, _) => Stocked::Demo,
        (false, true) => Stocked::NotYet,
        (false, false) => Stocked::ByItsOwner,
    })
}

fn advice(address: SocketAddr) -> String {
    let other = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8080));
    format!("cannot listen on {address}; give another address or port, such as `--listen {other}`")
}

fn warn_about_authentication(settings: &Settings) {
    let believed = settings.authentication() == Authentication::Header;
    if believed && !settings.listen.ip().is_loopback() {
        tracing::warn!(
            listen = %settings.listen,
            "callers are believed who they say they are, and others than this machine can call"
        );
    }
}

/// On MySQL other instances may be running on the schema as it is: changing it is for people to decide.
pub(super) async fn bring_up_to_date(store: &Store, asked: bool) -> anyhow::Result<()> {
    let pending = store.migrations().await.context("cannot read the state of the schema")?;
    let pending = pending.iter().filter(|migration| !migration.applied).count();
    if pending == 0 {
        return Ok(());
    }
    let by_itself = match store.kind() {
        DatabaseKind::Sqlite => true,
        DatabaseKind::MySql => asked,
    };
    if !by_itself {
        bail!(
            "the database schema is not up to date: {} {} pending. \
             Run `jangteo migrate up` first, or `jangteo serve --migrate`",
            counted(pending, "migration"),
            if pending == 1 { "is" } else { "are" },
        );
    }
    let applied = store.migrate_up().await.context("cannot bring the schema up to date")?;
    tracing::info!(applied, "the schema is up to date");
    Ok(())
}

fn welcome(address: SocketAddr, authentication: Authentication, stocked: Stocked) -> String {
    let site = format!("http://{address}");
    let stock = stock(stocked);
    let caller = match authentication {
        Authentication::Header => "-H 'X-User-Id: 1'",
        Authentication::Jwt => "-H \"Authorization: Bearer $(jangteo token --user 1)\"",
    };
    format!(
        "
  The shop is open.

    API          {site}/api/v1/products
    Swagger UI   {site}/swagger-ui/
    Health       {site}/health/ready
    Metrics      {site}/metrics
{stock}
  Try it:

    curl '{site}/api/v1/products?size=5'
    curl -X POST {site}/api/v1/wallets/charge {caller} -H 'Content-Type: application/json' -d '{{\"amount\": 50000}}'
    curl -X POST {site}/api/v1/orders {caller} -H 'Content-Type: application/json' -H \"Idempotency-Key: $(date +%s%N)\" -d '{{\"items\": [{{\"productId\": 1, \"qty\": 2}}]}}'

  Answers are in Korean, and in English with -H 'Accept-Language: en'. Ctrl-C stops it.

"
    )
}

/// What there is to try it with.
fn stock(stocked: Stocked) -> &'static str {
    match stocked {
        Stocked::Demo => {
            "
  In the demo shop:

    Customers    1 to 5
    Coupons      WELCOME10 (10% off), FLASH5000 (5,000 off an order of 20,000 or more)
"
        }
        Stocked::NotYet => {
            "
  The shop is empty. To fill it:

    jangteo seed --users 100 --products 20 --coupon WELCOME10:PERCENT:10:1000
"
        }
        Stocked::ByItsOwner => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_names_what_is_in_the_shop() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let welcome = |stocked| welcome(address, Authentication::Header, stocked);
        let demo = welcome(Stocked::Demo);
        let plan = demo::plan(&SystemClock);
        assert!(demo.contains(&format!("1 to {}", plan.users.len())), "{demo}");
        for coupon in plan.coupons {
            assert!(demo.contains(coupon.code.as_str()), "{demo}");
        }
        assert!(welcome(Stocked::NotYet).contains("jangteo seed"));
        assert!(!welcome(Stocked::ByItsOwner).contains("seed"));
    }

    #[test]
    fn the_welcome_says_how_to_ask_as_somebody() {
        let welcome = |authentication| {
            welcome(SocketAddr::from(([127, 0, 0, 1], 8080)), authentication, Stocked::ByItsOwner)
        };
        assert!(welcome(Authentication::Header).contains("-H 'X-User-Id: 1'"));
        let with_tokens = welcome(Authentication::Jwt);
        assert!(with_tokens.contains("jangteo token --user 1") && !with_tokens.contains("X-User-Id"));
    }

    #[tokio::test]
    async fn a_taken_port_leaves_no_demo_shop_behind() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("shop.db");
        let flags = vec![
            ("listen", taken.local_addr().expect("an address").to_string()),
            ("database_url", format!("sqlite://{}", file.display())),
        ];
        let sources = Sources { flags, ..Sources::default() };
        let arguments = Arguments { listen: None, migrate: false, no_demo: false, no_worker: false };
        let refused = run(&sources, arguments).await.expect_err("the port is taken");
        assert!(refused.to_string().contains("--listen"), "{refused}");
        assert!(!file.exists());
    }
}
