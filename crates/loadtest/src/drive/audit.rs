use std::fmt;

use anyhow::Result;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::journeys::{Credentials, Site};
use crate::load::Connection;

/// Who asks, as far as that matters: what counts is the role.
const SOMEBODY: i64 = 1;

/// What a shop says of its own books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audit {
    /// So many rules hold.
    Clean(usize),
    /// Each rule that does not, and where.
    Violations(Vec<String>),
    /// Nothing, and why.
    Unknown(String),
}

#[derive(Deserialize)]
struct Answer {
    clean: bool,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    rule: String,
    violations: Vec<String>,
}

impl Audit {
    /// Asks for it as an administrator. That it cannot be had takes nothing away from the load.
    pub(super) async fn of(site: &Site, credentials: &Credentials) -> Self {
        match ask(site, credentials).await {
            Ok((status, body)) => Self::read(status, &body),
            Err(error) => Self::Unknown(format!("{error:#}")),
        }
    }

    fn read(status: StatusCode, body: &[u8]) -> Self {
        if status != StatusCode::OK {
            let why = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "the deployment does not take us for an administrator"
                }
                StatusCode::TOO_MANY_REQUESTS => "the deployment limits requests",
                _ => "the deployment cannot tell",
            };
            return Self::Unknown(format!("{why}: GET /api/v1/admin/audit answered {}", status.as_u16()));
        }
        match serde_json::from_slice::<Answer>(body) {
            Ok(Answer { clean: true, checks }) => Self::Clean(checks.len()),
            Ok(Answer { clean: false, checks }) => {
                let broken = checks.into_iter().filter(|check| !check.violations.is_empty());
                let broken =
                    broken.map(|Check { rule, violations }| format!("{rule}: {}", violations.join("; ")));
                Self::Violations(broken.collect())
            }
            Err(error) => Self::Unknown(format!("its answer cannot be read: {error}")),
        }
    }
}

/// A large shop may take its time.
async fn ask(site: &Site, credentials: &Credentials) -> Result<(StatusCode, Bytes)> {
    let identity = credentials.identity(SOMEBODY, true)?;
    let request = site.request(Method::GET, "/admin/audit", &identity, None)?;
    Ok(Connection::open(site.address).await?.fetch(request).await?)
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean(rules) => {
                write!(
                    f,
                    "The audit of the deployment is clean: all {rules} rules hold, as `GET /api/v1/admin/audit` says."
                )
            }
            Self::Violations(rules) => {
                writeln!(f, "**The audit of the deployment found violations:**\n")?;
                rules.iter().try_for_each(|rule| writeln!(f, "- {rule}"))
            }
            Self::Unknown(why) => write!(
                f,
                "Whether the books balance is not known, since there is no audit: {why}. `jangteo audit` beside the \
                 database tells."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_is_clean_or_names_what_is_not() {
        let clean = br#"{"clean":true,"checks":[{"rule":"a","violations":[]},{"rule":"b","violations":[]}]}"#;
        assert_eq!(Audit::read(StatusCode::OK, clean), Audit::Clean(2));
        let broken =
            br#"{"clean":false,"checks":[{"rule":"a","violations":[]},{"rule":"b","violations":["x","y"]}]}"#;
        assert_eq!(Audit::read(StatusCode::OK, broken), Audit::Violations(vec!["b: x; y".to_owned()]));
    }

    #[test]
    fn a_refused_audit_is_no_failure_of_the_load() {
        let Audit::Unknown(why) = Audit::read(StatusCode::FORBIDDEN, b"") else { panic!("it is not known") };
        assert!(why.contains("administrator") && why.contains("403"), "{why}");
    }
}
