use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::cargo;
use crate::python;
use crate::shop::{self, HEADERS, Settings, Shop, TOKENS};

/// Of Python's package index.
const SCHEMATHESIS: &str = "4.32.5";

/// What must be true of every answer.
const CHECKS: [&str; 7] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
];

/// Who sends the requests.
struct Mode {
    name: &'static str,
    /// How the server recognises callers.
    settings: Settings,
    /// What every request says; the rest is made up.
    headers: &'static [&'static str],
    /// What `jangteo token` is asked for, whose token every request has.
    token: Option<&'static [&'static str]>,
}

/// Of the demo shop, customer 1 has money. Whoever makes up who asks is mostly nobody, and sometimes somebody.
const MODES: [Mode; 6] = [
    Mode { name: "anybody", settings: HEADERS, headers: &[], token: None },
    Mode { name: "customer", settings: HEADERS, headers: &["X-User-Id: 1"], token: None },
    Mode {
        name: "administrator",
        settings: HEADERS,
        headers: &["X-User-Id: 1", "X-User-Role: ADMIN"],
        token: None,
    },
    Mode { name: "anybody-without-token", settings: TOKENS, headers: &[], token: None },
    Mode { name: "customer-with-token", settings: TOKENS, headers: &[], token: Some(&["--user", "1"]) },
    Mode {
        name: "administrator-with-token",
        settings: TOKENS,
        headers: &[],
        token: Some(&["--user", "1", "--role", "ADMIN"]),
    },
];

/// Makes up requests from the API's own document, against a fresh demo shop for each mode, which the audit must find in
/// order afterwards.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (server, schemathesis) = (shop::build()?, python::program("schemathesis", SCHEMATHESIS)?);
    let mut failed = Vec::new();
    for mode in &MODES {
        println!("\nRequests of: {}", mode.name);
        if let Err(error) = mode.run(&server, &schemathesis, arguments) {
            println!("{error:#}");
            failed.push(mode.name);
        }
    }
    ensure!(failed.is_empty(), "the API does not do what its document says, to: {}", failed.join(", "));
    Ok(())
}

impl Mode {
    fn run(&self, server: &Path, schemathesis: &Path, arguments: &[String]) -> Result<()> {
        let shop = Shop::new(server, &format!("fuzz/{}", self.name), self.settings)?;
        let mut open = shop.open()?;

        let mut requests = self.requests(schemathesis, &shop, &open.url);
        if let Some(token) = self.token(&shop)? {
            requests.arg("--header").arg(format!("Authorization: Bearer {token}"));
        }
        // What is said twice counts as it is said last.
        let checked = cargo::run(requests.args(arguments));
        open.check()?;
        drop(open);
        checked?;
        cargo::run(shop.command().arg("audit"))
    }

    fn token(&self, shop: &Shop<'_>) -> Result<Option<String>> {
        let Some(asked) = self.token else { return Ok(None) };
        let token = shop.command().arg("token").args(asked).output()?;
        ensure!(token.status.success(), "there is no token: {}", String::from_utf8_lossy(&token.stderr));
        Ok(Some(String::from_utf8(token.stdout)?.trim_end().to_owned()))
    }

    fn requests(&self, schemathesis: &Path, shop: &Shop<'_>, url: &str) -> Command {
        let mut requests = Command::new(schemathesis);
        requests.current_dir(&shop.folder).arg("run").arg(format!("{url}/openapi.json"));
        requests.args(["--phases", "examples,coverage,fuzzing"]);
        requests.args(["--checks", &CHECKS.join(","), "--max-examples", "50", "--continue-on-failure"]);
        requests.args(["--generation-database", "none", "--warnings", "off"]);
        requests.args(self.headers.iter().flat_map(|header| ["--header", header]));
        requests
    }
}
