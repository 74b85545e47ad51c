//! Customers' accounts, as administrators manage them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use jangteo_application::manage_accounts::{
    AccountChange, AccountChanged, AccountCommand, AccountRefusal, By, ManageAccounts,
};
use jangteo_application::operation::Outcome;
use jangteo_application::{Operation, Submission};
use jangteo_domain::user::{Account, OpenOrders, StillOpen};
use jangteo_domain::{Money, UserId};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::headers::{Admin, CallerHeaders, Key, KeyHeader};
use super::orders::status_name;
use super::pages::{PageBody, PageParameters};
use super::parameters::{FromQuery, Parameters, PathId, Query};
use super::users::{ChangeUser, UserBody, email_taken};
use super::versions::{IfMatch, IfMatchHeader, tagged};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/users").get(list),
        Endpoint::at("/api/v1/admin/users/{id}").get(account).patch(change).delete(close),
    ]
}

/// A customer, as administrators see them.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountBody {
    #[serde(flatten)]
    user: UserBody,
    /// One more with every change; the `ETag` of the account.
    version: i32,
}

impl From<Account> for AccountBody {
    fn from(Account { user, version }: Account) -> Self {
        Self { user: user.into(), version }
    }
}

fn shown(account: Account) -> HttpResponse {
    let version = account.version;
    tagged(ok(&AccountBody::from(account)), version)
}

/// Has an account changed or closed.
pub(super) async fn manage(shop: &Shop, command: AccountCommand, key: Key) -> Result<HttpResponse, ApiError> {
    let (_, scope) = ManageAccounts::key_scope(&command);
    let answer = shop.accounts.submit(Submission { command, key: key.0 }).await?;
    answered(scope, answer)
}

impl Answers for ManageAccounts {
    fn answer(scope: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(match outcome? {
            AccountChanged::Closed => HttpResponse::new(StatusCode::NO_CONTENT),
            AccountChanged::Profile(account) if Self::is_by_administrator(scope) => shown(account),
            AccountChanged::Profile(account) => ok(&UserBody::from(account.user)),
        })
    }
}

impl From<AccountRefusal> for ApiError {
    fn from(refusal: AccountRefusal) -> Self {
        match refusal {
            AccountRefusal::Unknown => Problem::NoSuchUser.into(),
            AccountRefusal::EmailTaken => email_taken(),
            AccountRefusal::Stale(stale) => stale.into(),
            AccountRefusal::StillOpen(StillOpen { balance, orders }) => {
                let money =
                    (balance != Money::ZERO).then(|| Detail::new("balance", Reason::BalanceLeft(balance)));
                let open = orders.iter().map(|&OpenOrders { status, count }| {
                    Detail::new("orders", Reason::OpenOrders { status: status_name(status), count })
                });
                Self::from(Problem::StillOpen).with(money.into_iter().chain(open).collect())
            }
        }
    }
}

/// Which customers to list.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BeginningParameter {
    /// Only those whose name or e-mail address begins so, in whatever case.
    #[param(nullable = false, min_length = 1, max_length = 100, example = "mina")]
    q: Option<String>,
}

/// What the list of customers is asked with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListParameters {
    page: PageParameters,
    beginning: BeginningParameter,
}

/// The longest name.
const LONGEST: usize = 100;

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        let page = PageParameters::take_from(query);
        let q = query.text("q").map(|text| text.trim().to_owned());
        let sound = |text: &String| {
            (1..=LONGEST).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        if q.as_ref().is_some_and(|text| !sound(text)) {
            query.fault("q", Reason::NotALine { longest: LONGEST });
        }
        Self { page, beginning: BeginningParameter { q } }
    }
}

/// Customers, latest first
///
/// For administrators. Who has left is not among them.
#[utoipa::path(
    get,
    path = "/api/v1/admin/users",
    operation_id = "listUsers",
    tag = "Administration",
    params(CallerHeaders, BeginningParameter, PageParameters),
    responses(
        (status = 200, description = "A page of customers.", body = PageBody<AccountBody>),
    ),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    _: Admin,
    parameters: Parameters<ListParameters>,
) -> Result<HttpResponse, ApiError> {
    let ListParameters { page, beginning } = parameters.0;
    let accounts = shop.customer_accounts.accounts(beginning.q, page.request()).await?;
    Ok(ok(&PageBody::of(accounts, AccountBody::from)))
}

/// One customer
///
/// For administrators. The `ETag` is the version of the account.
#[utoipa::path(
    get,
    path = "/api/v1/admin/users/{id}",
    operation_id = "getUser",
    tag = "Administration",
    params(CallerHeaders, ("id" = i64, Path, description = "The customer.", minimum = 1)),
    responses(
        (status = 200, description = "The customer.", body = AccountBody, headers(("ETag" = String, description = "The version, in quotes."))),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn account(shop: Data<Shop>, _: Admin, id: PathId) -> Result<HttpResponse, ApiError> {
    let account = shop.customer_accounts.account(UserId(id.0)).await?;
    Ok(shown(account.ok_or(Problem::NoSuchUser)?))
}

/// Change a customer
///
/// For administrators.
#[utoipa::path(
    patch,
    path = "/api/v1/admin/users/{id}",
    operation_id = "changeUser",
    tag = "Administration",
    params(CallerHeaders, KeyHeader, IfMatchHeader, ("id" = i64, Path, description = "The customer.", minimum = 1)),
    request_body = ChangeUser,
    responses(
        (status = 200, description = "The customer, changed.", body = AccountBody, headers(("ETag" = String, description = "The version, in quotes."))),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`CONFLICT`: the e-mail address is taken, or the key was used for another request."),
    ),
)]
pub(crate) async fn change(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
    body: JsonBody<ChangeUser>,
) -> Result<HttpResponse, ApiError> {
    let change = AccountChange::Profile(body.0.parse()?);
    let by = By::Administrator(admin.0, expected.0);
    manage(&shop, AccountCommand { user: UserId(id.0), by, change }, key).await
}

/// Close a customer's account
///
/// For administrators: as if the customer had left, with the same conditions.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/users/{id}",
    operation_id = "closeUser",
    tag = "Administration",
    params(CallerHeaders, KeyHeader, IfMatchHeader, ("id" = i64, Path, description = "The customer.", minimum = 1)),
    responses(
        (status = 204, description = "The customer is gone."),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`CONFLICT`: there is money in the wallet, or orders are open, or the key was used for another request."),
    ),
)]
pub(crate) async fn close(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let by = By::Administrator(admin.0, expected.0);
    manage(&shop, AccountCommand { user: UserId(id.0), by, change: AccountChange::Close }, key).await
}

#[cfg(test)]
mod tests {
    use super::super::parameters::read;
    use super::*;

    #[test]
    fn a_beginning_is_a_line() {
        let beginning = |query: &str| read::<ListParameters>(query).map(|parameters| parameters.beginning.q);
        assert_eq!(beginning(""), Ok(None));
        assert_eq!(beginning("q=%EB%AF%B8&page=1"), Ok(Some("미".to_owned())));
        for query in ["q=", "q=%20", "q=a%0Ab", &format!("q={}", "x".repeat(101))] {
            assert_eq!(
                beginning(query),
                Err(vec![Detail::new("q", Reason::NotALine { longest: 100 })]),
                "{query}"
            );
        }
    }
}
