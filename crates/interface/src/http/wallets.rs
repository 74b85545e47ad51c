//! Wallets.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::charge_wallets::{Charge, ChargeWallets};
use jangteo_application::operation::Outcome;
use jangteo_application::queries::LedgerLine;
use jangteo_application::{Operation, Submission};
use jangteo_domain::wallet::{ChargeRefusal, LedgerKind};
use jangteo_domain::{Money, Wallet};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::exact::{AmountInput, Moment, MoneyJson};
use super::headers::{Caller, CallerHeaders, Key, KeyHeader};
use super::pages::{PageBody, PageParameters};
use super::parameters::Parameters;
use super::users::must_exist;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/wallets").get(wallet),
        Endpoint::at("/api/v1/wallets/charge").post(charge),
        Endpoint::at("/api/v1/wallets/ledger").get(ledger),
    ]
}

/// A wallet.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"userId": 1, "balance": 153000.00}))]
pub(crate) struct WalletBody {
    user_id: i64,
    balance: MoneyJson,
}

impl From<Wallet> for WalletBody {
    fn from(wallet: Wallet) -> Self {
        Self { user_id: wallet.user.0, balance: MoneyJson(wallet.balance) }
    }
}

/// How much to add to the wallet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": 50000.00}))]
pub(crate) struct ChargeWallet {
    /// A number or a text, with at most two decimals.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = true)]
    amount: AmountInput,
}

impl ChargeWallet {
    fn amount(&self) -> Result<Money, ApiError> {
        parse_amount(self.amount).map_err(|reason| ApiError::invalid_field("amount", reason))
    }
}

pub(super) fn parse_amount(amount: AmountInput) -> Result<Money, Reason> {
    match amount {
        AmountInput::Amount(amount) => Ok(amount),
        AmountInput::Missing => Err(Reason::Required),
        AmountInput::NotAnAmount(error) => Err(Reason::Amount(error)),
    }
}

impl From<ChargeRefusal> for ApiError {
    fn from(refusal: ChargeRefusal) -> Self {
        match refusal {
            ChargeRefusal::BelowMinimum { minimum } => {
                Self::invalid_field("amount", Reason::BelowMinimum { minimum })
            }
            ChargeRefusal::LimitExceeded { balance, maximum } => Self::from(Problem::BalanceLimitExceeded)
                .with(vec![Detail::new("amount", Reason::LimitExceeded { balance, maximum })]),
        }
    }
}

/// A movement of money.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LedgerBody {
    id: i64,
    /// `CHARGE`, `USE`, `REFUND` or `ADJUST`.
    #[schema(value_type = String, example = "CHARGE")]
    kind: &'static str,
    /// What was added to the balance: negative when money was spent.
    amount: MoneyJson,
    balance_after: MoneyJson,
    /// The order that was paid or refunded.
    order_id: Option<i64>,
    /// Why an administrator corrected the balance.
    reason: Option<String>,
    created_at: Moment,
}

impl From<LedgerLine> for LedgerBody {
    fn from(line: LedgerLine) -> Self {
        Self {
            id: line.id,
            kind: kind_name(line.kind),
            amount: MoneyJson(line.amount),
            balance_after: MoneyJson(line.balance_after),
            order_id: line.order.map(|order| order.0),
            reason: line.reason,
            created_at: Moment(line.at),
        }
    }
}

pub(super) fn kind_name(kind: LedgerKind) -> &'static str {
    match kind {
        LedgerKind::Charge => "CHARGE",
        LedgerKind::Use => "USE",
        LedgerKind::Refund => "REFUND",
        LedgerKind::Adjust => "ADJUST",
    }
}

/// The caller's wallet
#[utoipa::path(
    get,
    path = "/api/v1/wallets",
    operation_id = "getWallet",
    tag = "Wallets",
    params(CallerHeaders),
    responses(
        (status = 200, description = "The wallet.", body = WalletBody),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn wallet(shop: Data<Shop>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let wallet = shop.customers.wallet(caller.user).await?.ok_or(Problem::NoSuchUser)?;
    Ok(ok(&WalletBody::from(wallet)))
}

/// Charge the caller's wallet
#[utoipa::path(
    post,
    path = "/api/v1/wallets/charge",
    operation_id = "chargeWallet",
    tag = "Wallets",
    params(CallerHeaders, KeyHeader),
    request_body = ChargeWallet,
    responses(
        (status = 200, description = "The wallet, charged.", body = WalletBody),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`BALANCE_LIMIT_EXCEEDED`: the balance would pass its limit. `CONFLICT`: the key was used for another request."),
    ),
)]
pub(crate) async fn charge(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    body: JsonBody<ChargeWallet>,
) -> Result<HttpResponse, ApiError> {
    let command = Charge { user: caller.user, amount: body.0.amount()? };
    let answer = shop.charges.submit(Submission { command, key: key.0 }).await?;
    answered(ChargeWallets::NAME, answer)
}

impl Answers for ChargeWallets {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(ok(&WalletBody::from(outcome?)))
    }
}

/// What moved in the caller's wallet, latest first
#[utoipa::path(
    get,
    path = "/api/v1/wallets/ledger",
    operation_id = "listLedger",
    tag = "Wallets",
    params(CallerHeaders, PageParameters),
    responses(
        (status = 200, description = "A page of movements.", body = PageBody<LedgerBody>),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn ledger(
    shop: Data<Shop>,
    caller: Caller,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let ledger = shop.customers.ledger(caller.user, page.0.request()).await?;
    if ledger.total == 0 {
        must_exist(&shop, caller.user).await?;
    }
    Ok(ok(&PageBody::of(ledger, LedgerBody::from)))
}
