//! The audit, for administrators.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::AuditReport;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::headers::{Caller, CallerHeaders};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/admin/audit").get(audit)]
}

/// What an audit found.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "clean": true,
    "checks": [{"rule": "every wallet equals the sum of its ledger entries", "violations": []}],
}))]
pub(crate) struct AuditBody {
    /// Whether every rule holds.
    clean: bool,
    checks: Vec<AuditCheckBody>,
}

/// One rule that the data must obey, and where it does not.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditCheckBody {
    #[schema(value_type = String)]
    rule: &'static str,
    /// Each row that breaks it, named; at most 100.
    violations: Vec<String>,
}

impl From<AuditReport> for AuditBody {
    fn from(report: AuditReport) -> Self {
        let clean = report.is_clean();
        let checks = report.checks.into_iter();
        let checks = checks.map(|check| AuditCheckBody { rule: check.rule, violations: check.violations });
        Self { clean, checks: checks.collect() }
    }
}

/// Does everything add up?
///
/// Checks on one snapshot that money, stock and coupons are conserved.
#[utoipa::path(
    get,
    path = "/api/v1/admin/audit",
    operation_id = "audit",
    tag = "Administration",
    params(CallerHeaders),
    responses(
        (status = 200, description = "What was found.", body = AuditBody),
    ),
)]
pub(crate) async fn audit(shop: Data<Shop>, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.must_be_administrator()?;
    Ok(ok(&AuditBody::from(shop.audit.audit().await?)))
}
