use anyhow::{Result, ensure};
use clap::Args;

use super::Drive;
use crate::journeys::{Credentials, Place, Scenario};
use crate::load::Pace;
use crate::measure::Lengths;

/// Whatever does no harm but to stocks.
const USUAL: [Scenario; 6] = [
    Scenario::Browse,
    Scenario::Charge,
    Scenario::OrderSpread,
    Scenario::OrderHot,
    Scenario::CartToPaid,
    Scenario::Mixed,
];

/// What is asked of a drive only.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load on a running deployment")]
pub(crate) struct Options {
    /// Put load on the deployment at this URL, such as http://127.0.0.1:8080. It gets new customers and sells them what
    /// it has in stock: better none that anybody depends on
    #[arg(long, value_name = "URL")]
    url: Option<Place>,
    /// A kind of traffic; may be given several times [default: all but stampede]
    #[arg(long, value_enum, value_name = "SCENARIO", requires = "url")]
    scenario: Vec<Scenario>,
    /// Requests or journeys a second, at moments fixed beforehand (open loop); without it, each client asks as soon as it
    /// has its answer (closed loop)
    #[arg(long, value_name = "PER_SECOND", requires = "url", value_parser = rate)]
    rate: Option<f64>,
    /// Customers to register; at least as many as clients
    #[arg(long, value_name = "NUMBER", default_value_t = 200, requires = "url")]
    customers: usize,
    /// A coupon on offer: the stampede claims it, and so do some in mixed traffic
    #[arg(long, value_name = "CODE", requires = "url")]
    coupon: Option<String>,
    /// For a deployment with auth = jwt: its jwt_secret, to sign tokens with (HS256, without audience and issuer).
    /// Without it, X-User-Id headers say who asks (auth = header)
    #[arg(long, value_name = "SECRET", requires = "url")]
    token_secret: Option<String>,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or("must be a number above 0")
}

impl Options {
    /// The drive, if one is asked for.
    pub(crate) fn drive(&self, clients: usize, lengths: Lengths, rounds: usize) -> Result<Option<Drive>> {
        let Some(place) = self.url.clone() else { return Ok(None) };
        let scenarios = if self.scenario.is_empty() { USUAL.to_vec() } else { self.scenario.clone() };
        ensure!(
            self.coupon.is_some() || !scenarios.contains(&Scenario::Stampede),
            "a stampede needs a coupon: name one that is on offer with --coupon CODE; GET /api/v1/coupons lists them"
        );
        let credentials = match &self.token_secret {
            Some(secret) => Credentials::Signed(secret.clone()),
            None => Credentials::Believed,
        };
        Ok(Some(Drive {
            place,
            scenarios,
            customers: self.customers.max(clients),
            coupon: self.coupon.clone(),
            credentials,
            clients,
            pace: self.rate.map_or(Pace::Unbounded, Pace::PerSecond),
            lengths,
            rounds,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    fn drive(arguments: &str) -> Result<Option<Drive>> {
        let program = Program::try_parse_from(["program"].into_iter().chain(arguments.split_whitespace()))?;
        let lengths = Lengths { warm_up: Duration::ZERO, measured: Duration::from_secs(1) };
        program.options.drive(64, lengths, 1)
    }

    #[test]
    fn without_a_url_there_is_no_drive_and_nothing_to_set() {
        assert!(drive("").unwrap().is_none());
        assert!(drive("--scenario browse").is_err());
        assert!(drive("--rate 5").is_err());
    }

    #[test]
    fn there_are_as_many_customers_as_clients() {
        let customers = |arguments| drive(arguments).unwrap().unwrap().customers;
        assert_eq!(customers("--url http://127.0.0.1:1"), 200);
        assert_eq!(customers("--url http://127.0.0.1:1 --customers 5"), 64);
    }

    #[test]
    fn a_stampede_is_asked_for_by_name_and_needs_a_coupon() {
        let url = "--url http://127.0.0.1:1";
        let usual = drive(&format!("{url} --coupon A")).unwrap().unwrap();
        assert!(!usual.scenarios.contains(&Scenario::Stampede));
        assert!(drive(&format!("{url} --scenario stampede")).is_err());
        assert!(drive(&format!("{url} --scenario stampede --coupon A")).is_ok());
    }

    #[test]
    fn a_rate_is_above_nothing() {
        for rate in ["0", "-1", "inf", "nan", "much"] {
            assert!(drive(&format!("--url http://127.0.0.1:1 --rate={rate}")).is_err(), "{rate}");
        }
        let drive = drive("--url http://127.0.0.1:1 --rate 0.5").unwrap().unwrap();
        assert_eq!(drive.pace, Pace::PerSecond(0.5));
    }
}
