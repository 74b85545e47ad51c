//! The audit: does everything add up?

use async_trait::async_trait;
use jangteo_domain::RepositoryError;

/// One rule that the data must obey, and where it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheck {
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// Each row that breaks it, named; at most [`AuditCheck::MOST_VIOLATIONS`].
    pub violations: Vec<String>,
}

impl AuditCheck {
    /// The most violations that one check lists.
    pub const MOST_VIOLATIONS: usize = 100;
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Every rule that was checked.
    pub checks: Vec<AuditCheck>,
}

impl AuditReport {
    /// Whether every rule holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.violations.is_empty())
    }
}

/// Checks that money, stock and coupons are conserved.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Checks every rule on one snapshot of the data.
    async fn audit(&self) -> Result<AuditReport, RepositoryError>;
}
