//! Wallets, for those who run the shop.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::adjust_wallets::{Adjust, AdjustWallets};
use jangteo_application::operation::Outcome;
use jangteo_application::trail::Administrator;
use jangteo_application::{Operation, Submission};
use jangteo_domain::UserId;
use jangteo_domain::wallet::{AdjustReason, AdjustRefusal};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::exact::{AmountInput, MoneyJson};
use super::headers::{Admin, CallerHeaders, Key, KeyHeader};
use super::pages::{PageBody, PageParameters};
use super::parameters::{Parameters, PathId};
use super::wallets::{LedgerBody, WalletBody, parse_amount};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/wallets/{userId}").get(wallet),
        Endpoint::at("/api/v1/admin/wallets/{userId}/ledger").get(ledger),
        Endpoint::at("/api/v1/admin/wallets/{userId}/adjust").post(adjust),
    ]
}

/// How to correct a balance, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": -5000.00, "reason": "중복 충전 정정"}))]
pub(crate) struct AdjustWallet {
    /// What to add: negative to take it. A number or a text, with at most two decimals, not zero.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = true)]
    amount: AmountInput,
    /// In the administrator's words. The customer sees it in the ledger.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 200)]
    reason: Option<String>,
}

impl AdjustWallet {
    fn parse(self, user: UserId, by: Administrator) -> Result<Adjust, ApiError> {
        let amount = parse_amount(self.amount);
        let reason = self.reason.ok_or(Reason::Required).and_then(|reason| {
            reason.parse().map_err(|_| Reason::NotALine { longest: AdjustReason::LONGEST })
        });
        match (amount, reason) {
            (Ok(amount), Ok(reason)) => Ok(Adjust { user, amount, reason, by }),
            (amount, reason) => {
                let faults = [
                    amount.err().map(|fault| ("amount", fault)),
                    reason.err().map(|fault| ("reason", fault)),
                ];
                let faults = faults.into_iter().flatten();
                Err(ApiError::invalid(faults.map(|(field, fault)| Detail::new(field, fault)).collect()))
            }
        }
    }
}

impl From<AdjustRefusal> for ApiError {
    fn from(refusal: AdjustRefusal) -> Self {
        match refusal {
            AdjustRefusal::Nothing => Self::invalid_field("amount", Reason::Zero),
            AdjustRefusal::Balance(short) => Self::from(Problem::InsufficientBalance)
                .with(vec![Detail::new("amount", Reason::Balance(short))]),
            AdjustRefusal::TooLarge => Problem::BalanceLimitExceeded.into(),
        }
    }
}

/// A customer's wallet
///
/// For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/wallets/{userId}",
    operation_id = "getWalletOf",
    tag = "Administration",
    params(CallerHeaders, ("userId" = i64, Path, description = "The customer.", minimum = 1)),
    responses(
        (status = 200, description = "The wallet.", body = WalletBody),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn wallet(shop: Data<Shop>, _: Admin, user: PathId) -> Result<HttpResponse, ApiError> {
    let wallet = shop.customers.wallet(UserId(user.0)).await?.ok_or(Problem::NoSuchUser)?;
    Ok(ok(&WalletBody::from(wallet)))
}

/// What moved in a customer's wallet, latest first
///
/// For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/wallets/{userId}/ledger",
    operation_id = "listLedgerOf",
    tag = "Administration",
    params(CallerHeaders, ("userId" = i64, Path, description = "The customer.", minimum = 1), PageParameters),
    responses(
        (status = 200, description = "A page of movements.", body = PageBody<LedgerBody>),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn ledger(
    shop: Data<Shop>,
    _: Admin,
    user: PathId,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let user = UserId(user.0);
    let ledger = shop.customers.ledger(user, page.0.request()).await?;
    if ledger.total == 0 {
        shop.customers.wallet(user).await?.ok_or(Problem::NoSuchUser)?;
    }
    Ok(ok(&PageBody::of(ledger, LedgerBody::from)))
}

/// Correct a customer's balance
///
/// The amount is added, or taken when it is negative. The balance may pass the limit for charging, and never falls below
/// zero. Ledger and trail tell who did it and why. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/wallets/{userId}/adjust",
    operation_id = "adjustWallet",
    tag = "Administration",
    params(CallerHeaders, KeyHeader, ("userId" = i64, Path, description = "The customer.", minimum = 1)),
    request_body = AdjustWallet,
    responses(
        (status = 200, description = "The wallet, corrected.", body = WalletBody),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`INSUFFICIENT_BALANCE`: more was to be taken than there is. `BALANCE_LIMIT_EXCEEDED`: the balance would pass what can be counted. `CONFLICT`: the key was used for another request."),
    ),
)]
pub(crate) async fn adjust(
    shop: Data<Shop>,
    by: Admin,
    key: Key,
    user: PathId,
    body: JsonBody<AdjustWallet>,
) -> Result<HttpResponse, ApiError> {
    let command = body.0.parse(UserId(user.0), by.0)?;
    let answer = shop.adjustments.submit(Submission { command, key: key.0 }).await?;
    answered(AdjustWallets::NAME, answer)
}

impl Answers for AdjustWallets {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(ok(&WalletBody::from(outcome?)))
    }
}
