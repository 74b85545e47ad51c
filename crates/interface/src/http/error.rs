//! Failures as clients see them: one format for every one of them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, ResponseError};
use chrono::{DateTime, Utc};
use jangteo_application::WriteError;
use jangteo_domain::coupon::{ClaimRefusal, CouponFault};
use jangteo_domain::product::OutOfStock;
use jangteo_domain::user::ProfileError;
use jangteo_domain::wallet::InsufficientBalance;
use jangteo_domain::{Money, MoneyError, ProductId, RepositoryError, Sku};
use serde::Serialize;
use utoipa::ToSchema;

use super::exact::{Moment, MoneyJson};
use super::headers::REPLAYED;
use crate::messages::Language;
use crate::tokens::TokenFault;

mod catalogue;

pub(crate) use catalogue::CatalogueFault;

/// The public, stable name of a kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ErrorCode {
    ValidationError,
    CouponInvalid,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    OutOfStock,
    InsufficientBalance,
    BalanceLimitExceeded,
    CouponSoldOut,
    CouponAlreadyClaimed,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    InternalError,
    ServiceUnavailable,
}

impl ErrorCode {
    fn status(self) -> StatusCode {
        match self {
            Self::ValidationError | Self::CouponInvalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict
            | Self::OutOfStock
            | Self::InsufficientBalance
            | Self::BalanceLimitExceeded
            | Self::CouponSoldOut
            | Self::CouponAlreadyClaimed => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What went wrong as a whole: it decides the code and the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request does not parse or is out of range.
    Invalid,
    /// The caller does not say, or not properly, who they are.
    Unidentified,
    /// Who they are has to be said with a token.
    NoToken,
    /// With another one: the one detail says what is wrong with this.
    BadToken,
    Forbidden,
    NoSuchPath,
    NoSuchUser,
    NoSuchProduct,
    NoSuchOrder,
    NoSuchCoupon,
    NoSuchStore,
    NoSuchEvent,
    /// Nothing was decided under it.
    NoSuchKey,
    NoSuchCartItem,
    MethodNotAllowed {
        allowed: String,
    },
    TooLong {
        most: usize,
    },
    NotJson,
    TooManyRequests {
        /// Until one more is let through.
        seconds: u64,
    },
    KeyReused,
    EmailTaken,
    /// The customer has money or open orders.
    StillOpen,
    NameTaken,
    StoreDeleted,
    StoreHasProducts,
    CodeTaken,
    CouponRetired,
    /// What customers hold does not allow it.
    CouponIssued,
    /// Somebody else was faster.
    Stale,
    /// The order does not allow this where it stands.
    OrderStatus(&'static str),
    /// The time to pay the order is over.
    HoldEnded,
    /// The platform has the event.
    EventSent,
    /// It has as many lines as it can have.
    CartFull,
    /// There is nothing in it to order.
    CartEmpty,
    /// What is asked for does not fit the catalogue.
    Catalogue(CatalogueFault),
    CouponInvalid,
    OutOfStock,
    InsufficientBalance,
    BalanceLimitExceeded,
    CouponSoldOut,
    CouponAlreadyClaimed,
    /// Nothing was executed.
    Busy,
    /// It is not known whether the request was executed.
    OutcomeUnknown,
    /// As many exports as may be are under way.
    TooManyExports,
    /// A read failed, and the next may not.
    DatabaseAway,
    Internal,
}

impl Problem {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid => ErrorCode::ValidationError,
            Self::Unidentified | Self::NoToken | Self::BadToken => ErrorCode::Unauthorized,
            Self::Forbidden => ErrorCode::Forbidden,
            Self::NoSuchPath
            | Self::NoSuchUser
            | Self::NoSuchProduct
            | Self::NoSuchOrder
            | Self::NoSuchCoupon
            | Self::NoSuchEvent
            | Self::NoSuchStore
            | Self::NoSuchKey
            | Self::NoSuchCartItem => ErrorCode::NotFound,
            Self::MethodNotAllowed { .. } => ErrorCode::MethodNotAllowed,
            Self::TooLong { .. } => ErrorCode::PayloadTooLarge,
            Self::NotJson => ErrorCode::UnsupportedMediaType,
            Self::TooManyRequests { .. } => ErrorCode::RateLimited,
            Self::KeyReused
            | Self::EmailTaken
            | Self::StillOpen
            | Self::OrderStatus(_)
            | Self::HoldEnded
            | Self::NameTaken
            | Self::StoreDeleted
            | Self::StoreHasProducts
            | Self::EventSent
            | Self::CartFull
            | Self::CartEmpty
            | Self::CodeTaken
            | Self::CouponRetired
            | Self::CouponIssued => ErrorCode::Conflict,
            Self::Stale => ErrorCode::PreconditionFailed,
            Self::Catalogue(fault) => fault.code(),
            Self::CouponInvalid => ErrorCode::CouponInvalid,
            Self::OutOfStock => ErrorCode::OutOfStock,
            Self::InsufficientBalance => ErrorCode::InsufficientBalance,
            Self::BalanceLimitExceeded => ErrorCode::BalanceLimitExceeded,
            Self::CouponSoldOut => ErrorCode::CouponSoldOut,
            Self::CouponAlreadyClaimed => ErrorCode::CouponAlreadyClaimed,
            Self::Busy | Self::OutcomeUnknown | Self::TooManyExports | Self::DatabaseAway => {
                ErrorCode::ServiceUnavailable
            }
            Self::Internal => ErrorCode::InternalError,
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    /// `items[0].qty`, or the name of a header or parameter.
    pub(crate) field: Cow<'static, str>,
    pub(crate) reason: Reason,
}

impl Detail {
    pub(crate) fn new(field: impl Into<Cow<'static, str>>, reason: Reason) -> Self {
        Self { field: field.into(), reason }
    }
}

/// Why something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    Required,
    UnknownField,
    UnknownParameter,
    Repeated,
    WrongType,
    Malformed,
    MalformedJson {
        line: usize,
        column: usize,
    },
    NotUtf8,
    BodyIncomplete,
    NotAnId,
    NotAnIdempotencyKey,
    Token(TokenFault),
    OutOfRange {
        least: i64,
        most: i64,
    },
    NotOneOf(&'static [&'static str]),
    NotAMoment,
    EndsBeforeItBegins,
    NotAZone,
    /// It ends before it begins, or is too long.
    BadPeriod {
        days: i64,
    },
    Amount(MoneyError),
    BelowMinimum {
        minimum: Money,
    },
    /// An amount that changes nothing.
    Zero,
    Balance(InsufficientBalance),
    Profile(ProfileError),
    EmailTaken,
    /// Nothing is named that is to be different.
    NothingToChange,
    BalanceLeft(Money),
    OpenOrders {
        status: &'static str,
        count: u64,
    },
    NameTaken,
    Deleted,
    HasProducts,
    NotACouponCode,
    NotAPercentage,
    /// It must be later than another field.
    NotAfter(&'static str),
    CodeTaken,
    Retired,
    Issued,
    BelowIssued {
        issued: i64,
    },
    /// The version there is.
    Version(i32),
    NotALine {
        longest: usize,
    },
    TooLong {
        longest: usize,
    },
    TooManyEntries {
        most: usize,
    },
    NotAnAddress,
    Catalogue(CatalogueFault),
    OrderStatus(&'static str),
    HoldEnded(DateTime<Utc>),
    UnknownCartItem,
    CartFull,
    CartEmpty,
    LimitExceeded {
        balance: Money,
        maximum: Money,
    },
    Order(OrderFault),
    Coupon(CouponFault),
    Claim(ClaimRefusal),
}

/// Why an order is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OrderFault {
    LineCount,
    TooManyPieces { sku: Sku },
    TooLarge,
    UnknownProduct { product: ProductId },
    UnknownVariant { sku: Sku },
    VariantRequired { product: ProductId },
    Short(OutOfStock),
    Unaffordable(InsufficientBalance),
}

/// A failed request.
#[derive(Debug)]
pub(crate) struct ApiError {
    problem: Problem,
    details: Vec<Detail>,
    /// Whether this is the answer to an earlier request with the same key.
    replayed: bool,
    /// What is behind a failure that is not the client's.
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    pub(crate) fn invalid(details: Vec<Detail>) -> Self {
        Self::from(Problem::Invalid).with(details)
    }

    pub(crate) fn invalid_field(field: impl Into<Cow<'static, str>>, reason: Reason) -> Self {
        Self::invalid(vec![Detail::new(field, reason)])
    }

    pub(crate) fn with(self, details: Vec<Detail>) -> Self {
        Self { details, ..self }
    }

    pub(crate) fn because(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    pub(crate) fn replayed(self, replayed: bool) -> Self {
        Self { replayed, ..self }
    }

    #[cfg(test)]
    pub(crate) fn into_details(self) -> Vec<Detail> {
        self.details
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { problem, details: Vec::new(), replayed: false, cause: None }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::UnknownUser(_) => Self::from(Problem::NoSuchUser),
            WriteError::KeyReused => Self::from(Problem::KeyReused),
            WriteError::Overloaded | WriteError::DeadlinePassed | WriteError::ShuttingDown => {
                Self::from(Problem::Busy)
            }
            // The batcher has logged the cause, once for all of its callers.
            WriteError::Failed(cause) => match *cause {
                RepositoryError::Transient(_) => Self::from(Problem::Busy),
                RepositoryError::Conflict(_) | RepositoryError::Backend(_) => Self::from(Problem::Internal),
            },
            WriteError::Unknown(_) => Self::from(Problem::OutcomeUnknown),
            WriteError::Unreadable(_) => Self::from(Problem::Internal).because(error),
        }
    }
}

/// Of reads: nothing else was to be done.
impl From<RepositoryError> for ApiError {
    fn from(error: RepositoryError) -> Self {
        let problem = match error {
            RepositoryError::Transient(_) => Problem::DatabaseAway,
            RepositoryError::Conflict(_) | RepositoryError::Backend(_) => Problem::Internal,
        };
        Self::from(problem).because(error)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problem)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.problem.code().status()
    }

    /// Only a placeholder, as it does not know the request; [`ApiError::answer`] is what clients get.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// What a failure's answer tells of the request.
pub(crate) struct Failure<'a> {
    pub(crate) path: &'a str,
    pub(crate) language: Language,
    pub(crate) trace_id: String,
    pub(crate) at: DateTime<Utc>,
}

/// Every failure, the framework's own included.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "timestamp": "2025-11-09T12:34:56Z",
    "path": "/api/v1/orders",
    "error": "OUT_OF_STOCK",
    "message": "The stock of at least one product does not suffice.",
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "details": [{
        "field": "items[0].qty",
        "code": "OUT_OF_STOCK",
        "reason": "5 were asked for and 2 are left.",
        "productId": 101,
        "requested": 5,
        "available": 2,
    }],
}))]
pub(crate) struct ErrorBody<'a> {
    timestamp: Moment,
    path: &'a str,
    error: ErrorCode,
    /// For people: Korean, or English with `Accept-Language: en`.
    message: Cow<'static, str>,
    /// The W3C trace id of the request, as in the log and in the `traceparent` response header.
    trace_id: &'a str,
    /// Everything that is wrong, where there is something to list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    details: Vec<DetailBody<'a>>,
}

/// One thing that is wrong, and where.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetailBody<'a> {
    /// A field of the body (`items[0].qty`), a parameter or a header.
    field: &'a str,
    /// For machines.
    code: &'static str,
    /// For people.
    reason: Cow<'static, str>,
    #[serde(flatten)]
    #[schema(inline)]
    figures: Figures,
}

/// The figures behind a reason.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Figures {
    /// The product.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<i64>,
    /// Which of its variants.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant_id: Option<i64>,
    /// Pieces asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<i64>,
    /// What is to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<MoneyJson>,
    /// Pieces left, or the balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    available: Option<Available>,
    /// The least amount that is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<MoneyJson>,
    /// The most that the balance may become.
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<MoneyJson>,
}

impl Figures {
    fn of(sku: Sku) -> Self {
        let variant_id = sku.variant.map(|variant| variant.0);
        Self { product_id: Some(sku.product.0), variant_id, ..Self::default() }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Available {
    Pieces(i64),
    Money(MoneyJson),
}

impl ApiError {
    pub(crate) fn answer(&self, failure: &Failure<'_>) -> HttpResponse {
        let body = ErrorBody {
            timestamp: Moment(failure.at),
            path: failure.path,
            error: self.problem.code(),
            message: self.problem.message(failure.language),
            trace_id: &failure.trace_id,
            details: self.details.iter().map(|detail| detail.body(failure.language)).collect(),
        };
        let body = serde_json::to_vec(&body).expect("plain data serialises");
        let mut response = HttpResponse::with_body(self.status_code(), body).map_into_boxed_body();
        self.add_headers(response.headers_mut(), failure.language);
        response
    }

    fn add_headers(&self, headers: &mut HeaderMap, language: Language) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Problem::MethodNotAllowed { allowed } = &self.problem {
            headers.insert(ALLOW, HeaderValue::try_from(allowed).expect("methods are tokens"));
        }
        if let Problem::TooManyRequests { seconds } = self.problem {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.problem.code() == ErrorCode::ServiceUnavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }

    /// What is asked for, and what was wrong with what was given (RFC 6750, 3).
    fn challenge(&self) -> Option<HeaderValue> {
        match self.problem {
            Problem::NoToken => Some(HeaderValue::from_static("Bearer")),
            Problem::BadToken => {
                let reasons = self.details.iter().map(|detail| detail.reason.text(Language::English));
                let description = reasons.collect::<Vec<_>>().join(" ");
                let challenge = format!(r#"Bearer error="invalid_token", error_description="{description}""#);
                Some(HeaderValue::try_from(challenge).expect("English words"))
            }
            _ => None,
        }
    }

    /// Failures that are not the client's, once each.
    pub(crate) fn log(&self, failure: &Failure<'_>) {
        let Some(cause) = &self.cause else { return };
        let mut chain = cause.to_string();
        let mut source = cause.source();
        while let Some(error) = source {
            chain = format!("{chain}: {error}");
            source = error.source();
        }
        let (trace_id, path) = (&failure.trace_id, failure.path);
        match self.problem.code() {
            ErrorCode::ServiceUnavailable => tracing::warn!(trace_id, path, cause = chain, "unavailable"),
            _ => tracing::error!(trace_id, path, cause = chain, "failed"),
        }
    }
}

impl Detail {
    fn body(&self, language: Language) -> DetailBody<'_> {
        DetailBody {
            field: &self.field,
            code: self.reason.code(),
            reason: self.reason.text(language),
            figures: self.reason.figures(),
        }
    }
}

impl Reason {
    fn figures(&self) -> Figures {
        match self {
            Self::Order(fault) => fault.figures(),
            Self::Catalogue(fault) => fault.figures(),
            Self::BelowMinimum { minimum } | Self::Coupon(CouponFault::BelowMinimum { minimum }) => {
                Figures { minimum: Some(MoneyJson(*minimum)), ..Figures::default() }
            }
            Self::Balance(InsufficientBalance { required, available }) => Figures {
                required: Some(MoneyJson(*required)),
                available: Some(Available::Money(MoneyJson(*available))),
                ..Figures::default()
            },
            Self::LimitExceeded { balance, maximum } => Figures {
                available: Some(Available::Money(MoneyJson(*balance))),
                maximum: Some(MoneyJson(*maximum)),
                ..Figures::default()
            },
            Self::BalanceLeft(balance) => {
                Figures { available: Some(Available::Money(MoneyJson(*balance))), ..Figures::default() }
            }
            Self::Required
            | Self::UnknownField
            | Self::UnknownParameter
            | Self::Repeated
            | Self::WrongType
            | Self::Malformed
            | Self::MalformedJson { .. }
            | Self::NotUtf8
            | Self::BodyIncomplete
            | Self::NotAnId
            | Self::NotAnIdempotencyKey
            | Self::Token(_)
            | Self::OutOfRange { .. }
            | Self::NotOneOf(_)
            | Self::NotAMoment
            | Self::EndsBeforeItBegins
            | Self::NotAZone
            | Self::BadPeriod { .. }
            | Self::Amount(_)
            | Self::Zero
            | Self::Profile(_)
            | Self::EmailTaken
            | Self::NothingToChange
            | Self::OpenOrders { .. }
            | Self::NameTaken
            | Self::Deleted
            | Self::HasProducts
            | Self::NotACouponCode
            | Self::NotAPercentage
            | Self::NotAfter(_)
            | Self::CodeTaken
            | Self::Retired
            | Self::Issued
            | Self::BelowIssued { .. }
            | Self::Version(_)
            | Self::NotALine { .. }
            | Self::TooLong { .. }
            | Self::TooManyEntries { .. }
            | Self::NotAnAddress
            | Self::OrderStatus(_)
            | Self::HoldEnded(_)
            | Self::UnknownCartItem
            | Self::CartFull
            | Self::CartEmpty
            | Self::Coupon(_)
            | Self::Claim(_) => Figures::default(),
        }
    }
}

impl OrderFault {
    fn figures(&self) -> Figures {
        match *self {
            Self::LineCount | Self::TooLarge => Figures::default(),
            Self::UnknownProduct { product } | Self::VariantRequired { product } => {
                Figures::of(product.into())
            }
            Self::TooManyPieces { sku } | Self::UnknownVariant { sku } => Figures::of(sku),
            Self::Short(OutOfStock { sku, requested, available }) => Figures {
                requested: Some(requested.get()),
                available: Some(Available::Pieces(available)),
                ..Figures::of(sku)
            },
            Self::Unaffordable(InsufficientBalance { required, available }) => Figures {
                required: Some(MoneyJson(required)),
                available: Some(Available::Money(MoneyJson(available))),
                ..Figures::default()
            },
        }
    }
}

#[cfg(test)]
mod tests;
