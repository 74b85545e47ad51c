//! Tokens for those who try the shop, and for scripts.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::Args;
use clap::builder::PossibleValuesParser;
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::UserId;

use super::output::print;
use crate::config::{Settings, Sources};
use crate::tokens::{ADMIN, NewToken, SigningKey};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Whom it stands for
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    user: i64,
    /// As what
    #[arg(long, value_name = "ROLE", value_parser = PossibleValuesParser::new(["USER", ADMIN]))]
    role: Option<String>,
    /// For how long: a number of s, m, h or d, up to 365d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    expires_in: TimeDelta,
    /// Sign with this RSA or Ed25519 private key, in PEM (RS256, EdDSA) [default: `jwt_secret`, HS256]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(super) fn run(sources: &Sources, arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::load(sources)?;
    let key = match &arguments.key {
        Some(file) => SigningKey::read(file)?,
        None => SigningKey::of(&settings)?,
    };
    let token = NewToken {
        user: UserId(arguments.user),
        role: arguments.role.as_deref(),
        lifetime: arguments.expires_in,
    };
    print(&format!("{}\n", key.sign(&token, &settings, SystemClock.now())?))
}

const LONGEST: TimeDelta = TimeDelta::days(365);

fn lifetime(text: &str) -> Result<TimeDelta, &'static str> {
    let parsed = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number = number.parse::<u32>().ok()?.into();
        match unit {
            "s" => Some(TimeDelta::seconds(number)),
            "m" => Some(TimeDelta::minutes(number)),
            "h" => Some(TimeDelta::hours(number)),
            "d" => Some(TimeDelta::days(number)),
            _ => None,
        }
    };
    let sound = parsed().filter(|time| *time > TimeDelta::zero() && *time <= LONGEST);
    sound.ok_or("must be a number of s, m, h or d, up to 365d, such as 90m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit() {
        for (text, seconds) in [("1s", 1), ("90m", 5_400), ("24h", 86_400), ("365d", 31_536_000)] {
            assert_eq!(lifetime(text), Ok(TimeDelta::seconds(seconds)), "{text}");
        }
        for text in ["", "1", "h", "0s", "-1h", "1.5h", "366d", "4294967295d", "1 h", "시"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
