//! What people read when something goes wrong: Korean by default, English on request.

use std::borrow::Cow;

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap};
use chrono::SecondsFormat;
use jangteo_domain::catalogue::ManagedProduct;
use jangteo_domain::coupon::{ClaimRefusal, CouponFault};
use jangteo_domain::user::ProfileError;
use jangteo_domain::wallet::InsufficientBalance;
use jangteo_domain::{Cart, MoneyError, OrderRequest, Quantity};

use crate::http::{CatalogueFault, OrderFault, Problem, Reason};
use crate::tokens::TokenFault;

/// A language that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Korean,
    English,
}

impl Language {
    /// The one that the client likes best of those there are.
    pub(crate) fn preferred(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT_LANGUAGE).filter_map(|value| value.to_str().ok());
        let wishes = ranges.flat_map(|value| value.split(',')).filter_map(wish);
        // Of equals the first is kept.
        let best = wishes.fold(None, |best: Option<(Self, f32)>, wish| match best {
            Some(best) if best.1 >= wish.1 => Some(best),
            Some(_) | None => Some(wish),
        });
        best.map_or(Self::Korean, |(language, _)| language)
    }

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Korean => "ko",
            Self::English => "en",
        }
    }
}

/// A language with its weight, of `en-GB;q=0.8`. Others than those there are, and those refused with `q=0`, are none.
fn wish(range: &str) -> Option<(Language, f32)> {
    let mut parts = range.split(';');
    let tag = parts.next()?.trim();
    let primary = tag.split('-').next()?;
    let language = match primary.to_ascii_lowercase().as_str() {
        "ko" | "*" => Language::Korean,
        "en" => Language::English,
        _ => return None,
    };
    let weight = parts.find_map(|parameter| parameter.trim().strip_prefix("q="));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse().ok())?;
    (weight > 0.0).then_some((language, weight))
}

type Text = Cow<'static, str>;

/// A text in both languages.
struct Both {
    korean: Text,
    english: Text,
}

fn both(korean: impl Into<Text>, english: impl Into<Text>) -> Both {
    Both { korean: korean.into(), english: english.into() }
}

impl Both {
    fn in_language(self, language: Language) -> Text {
        match language {
            Language::Korean => self.korean,
            Language::English => self.english,
        }
    }
}

impl Problem {
    /// What happened, in a sentence.
    pub(crate) fn message(&self, language: Language) -> Text {
        self.both().in_language(language)
    }

    fn both(&self) -> Both {
        match self {
            Self::Invalid => both("요청 값이 올바르지 않습니다.", "The request is not valid."),
            Self::Unidentified => both(
                "사용자를 확인할 수 없습니다. X-User-Id 헤더를 확인해 주세요.",
                "It is not known who you are. Check the X-User-Id header.",
            ),
            Self::NoToken => both(
                "사용자를 확인할 수 없습니다. Authorization: Bearer 헤더로 토큰을 보내 주세요.",
                "It is not known who you are. Send a token in the header Authorization: Bearer.",
            ),
            Self::BadToken => both("유효하지 않은 토큰입니다.", "The token is not accepted."),
            Self::Forbidden => both("접근 권한이 없습니다.", "You are not allowed to do this."),
            Self::NoSuchPath => both("존재하지 않는 경로입니다.", "There is nothing at this path."),
            Self::NoSuchUser => both("존재하지 않는 사용자입니다.", "There is no such user."),
            Self::NoSuchProduct => both("존재하지 않는 상품입니다.", "There is no such product."),
            Self::NoSuchOrder => both("존재하지 않는 주문입니다.", "There is no such order."),
            Self::NoSuchCoupon => both("존재하지 않는 쿠폰입니다.", "There is no such coupon."),
            Self::NoSuchStore => both("존재하지 않는 상점입니다.", "There is no such store."),
            Self::NoSuchEvent => both("존재하지 않는 이벤트입니다.", "There is no such event."),
            Self::NoSuchKey => both(
                "이 Idempotency-Key로 처리된 요청이 없습니다.",
                "Nothing was decided under this Idempotency-Key.",
            ),
            Self::NoSuchCartItem => {
                both("장바구니에 없는 항목입니다.", "There is no such line in your cart.")
            }
            Self::MethodNotAllowed { allowed } => both(
                format!("지원하지 않는 메서드입니다. 사용할 수 있는 메서드: {allowed}"),
                format!("This path does not know the method; it knows {allowed}."),
            ),
            Self::TooLong { most } => both(
                format!("요청 본문이 너무 큽니다. 최대 {most}바이트까지 보낼 수 있습니다."),
                format!("The request body is too large; it may have {most} bytes."),
            ),
            Self::NotJson => both(
                "Content-Type은 application/json (UTF-8)이어야 합니다.",
                "The Content-Type must be application/json, in UTF-8.",
            ),
            Self::TooManyRequests { seconds } => both(
                format!("요청이 너무 많습니다. {seconds}초 후에 다시 시도해 주세요."),
                format!("There are too many requests; please try again in {seconds} s."),
            ),
            Self::KeyReused => both(
                "이 Idempotency-Key는 이미 다른 요청에 사용되었습니다.",
                "This Idempotency-Key was used for another request.",
            ),
            Self::EmailTaken => both("이미 사용 중인 이메일입니다.", "The e-mail address is taken."),
            Self::NameTaken => both("이미 사용 중인 이름입니다.", "The name is taken."),
            Self::StoreDeleted => both("삭제된 상점입니다.", "The store was deleted."),
            Self::StoreHasProducts => both(
                "상품이 있는 상점은 삭제할 수 없습니다.",
                "The store has products, so it cannot be deleted.",
            ),
            Self::CodeTaken => both("이미 사용 중인 쿠폰 코드입니다.", "The code is taken."),
            Self::CouponRetired => both("발급이 종료된 쿠폰입니다.", "The coupon was retired."),
            Self::CouponIssued => both(
                "이미 발급된 쿠폰이 있어 변경할 수 없습니다.",
                "Coupons were issued, so this cannot be changed.",
            ),
            Self::Stale => both(
                "그 사이에 다른 변경이 있었습니다. 다시 조회한 뒤 변경해 주세요.",
                "Somebody else has changed this meanwhile. Look at it again, then change it.",
            ),
            Self::StillOpen => both(
                "잔액이나 진행 중인 주문이 있어 탈퇴할 수 없습니다.",
                "The account cannot be closed while it has money or open orders.",
            ),
            Self::OrderStatus(status) => both(
                format!("현재 주문 상태({status})에서는 처리할 수 없습니다."),
                format!("The order is {status}, which does not allow this."),
            ),
            Self::HoldEnded => both(
                "결제 기한이 지난 주문입니다. 재고와 쿠폰은 곧 반환됩니다.",
                "The time to pay the order is over. Its pieces and its coupon are about to be given back.",
            ),
            Self::EventSent => both(
                "이미 전송된(SENT) 이벤트입니다. 다시 보내려면 resend를 사용하세요.",
                "The event was delivered (SENT). To send it once more, use resend.",
            ),
            Self::CartFull => both("장바구니가 가득 찼습니다.", "The cart is full."),
            Self::CartEmpty => both("장바구니가 비어 있습니다.", "The cart is empty."),
            Self::Catalogue(fault) => catalogue(*fault),
            Self::CouponInvalid => both("사용할 수 없는 쿠폰입니다.", "The coupon cannot be used."),
            Self::OutOfStock => {
                both("재고가 부족한 상품이 있습니다.", "There are not enough pieces in stock.")
            }
            Self::InsufficientBalance => both("잔액이 부족합니다.", "The balance does not suffice."),
            Self::BalanceLimitExceeded => {
                both("충전 후 잔액이 한도를 넘습니다.", "The balance would pass its limit.")
            }
            Self::CouponSoldOut => both("쿠폰이 모두 소진되었습니다.", "All coupons have been issued."),
            Self::CouponAlreadyClaimed => {
                both("이미 발급받은 쿠폰입니다.", "You have claimed this coupon already.")
            }
            Self::Busy => both(
                "지금은 요청을 처리할 수 없습니다. 아무것도 변경되지 않았으니 잠시 후 다시 시도해 주세요.",
                "This cannot be done at the moment. Nothing was executed; please try again.",
            ),
            Self::OutcomeUnknown => both(
                "처리 결과를 확인하지 못했습니다. 같은 Idempotency-Key로 다시 요청하면 결과를 알 수 있습니다.",
                "It is not known what became of the request. Sending it again with the same Idempotency-Key tells.",
            ),
            Self::TooManyExports => both(
                "이미 다른 내보내기가 진행 중입니다. 끝난 뒤에 다시 시도해 주세요.",
                "As many exports as may be are under way. Please try again when one has ended.",
            ),
            Self::DatabaseAway => both(
                "일시적으로 조회할 수 없습니다. 잠시 후 다시 시도해 주세요.",
                "This cannot be read at the moment. Please try again.",
            ),
            Self::Internal => both("서버 내부 오류가 발생했습니다.", "Something went wrong on our side."),
        }
    }
}

impl Reason {
    /// The public, stable name of the reason.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Required | Self::Profile(ProfileError::Empty) => "REQUIRED",
            Self::UnknownField => "UNKNOWN_FIELD",
            Self::UnknownParameter => "UNKNOWN_PARAMETER",
            Self::Repeated => "DUPLICATE",
            Self::WrongType => "WRONG_TYPE",
            Self::Malformed | Self::Profile(ProfileError::Malformed) => "MALFORMED",
            Self::MalformedJson { .. } => "MALFORMED_JSON",
            Self::NotUtf8 => "NOT_UTF8",
            Self::BodyIncomplete => "BODY_INCOMPLETE",
            Self::NotAnId => "NOT_AN_ID",
            Self::NotAnIdempotencyKey => "MALFORMED_IDEMPOTENCY_KEY",
            Self::Token(fault) => token_code(*fault),
            Self::OutOfRange { .. } => "OUT_OF_RANGE",
            Self::NotOneOf(_) => "NOT_ALLOWED",
            Self::NotAMoment => "NOT_A_MOMENT",
            Self::EndsBeforeItBegins | Self::BadPeriod { .. } => "BAD_PERIOD",
            Self::NotAZone => "NOT_A_ZONE",
            Self::Amount(MoneyError::NotANumber) => "NOT_AN_AMOUNT",
            Self::Amount(MoneyError::TooPrecise) => "TOO_MANY_DECIMALS",
            Self::Amount(MoneyError::TooLarge) | Self::Order(OrderFault::TooLarge) => "AMOUNT_TOO_LARGE",
            Self::BelowMinimum { .. } => "BELOW_MINIMUM",
            Self::Profile(ProfileError::TooLong(_)) | Self::TooLong { .. } => "TOO_LONG",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::NothingToChange => "NOTHING_TO_CHANGE",
            Self::BalanceLeft(_) => "BALANCE_LEFT",
            Self::OpenOrders { .. } => "OPEN_ORDERS",
            Self::NameTaken => "NAME_TAKEN",
            Self::Deleted => "DELETED",
            Self::HasProducts => "HAS_PRODUCTS",
            Self::NotACouponCode => "NOT_A_COUPON_CODE",
            Self::NotAPercentage => "NOT_A_PERCENTAGE",
            Self::NotAfter(_) => "NOT_AFTER",
            Self::CodeTaken => "CODE_TAKEN",
            Self::Retired => "RETIRED",
            Self::Issued => "COUPON_ISSUED",
            Self::BelowIssued { .. } => "BELOW_ISSUED",
            Self::Version(_) => "STALE",
            Self::NotALine { .. } => "NOT_A_LINE",
            Self::TooManyEntries { .. } => "TOO_MANY",
            Self::NotAnAddress => "NOT_AN_ADDRESS",
            Self::Zero => "ZERO",
            Self::Catalogue(fault) => catalogue_code(*fault),
            Self::OrderStatus(_) => "ORDER_STATUS",
            Self::HoldEnded(_) => "HOLD_ENDED",
            Self::UnknownCartItem => "UNKNOWN_CART_ITEM",
            Self::CartFull => "CART_FULL",
            Self::CartEmpty => "CART_EMPTY",
            Self::Order(OrderFault::LineCount) => "LINE_COUNT",
            Self::Order(OrderFault::TooManyPieces { .. }) => "TOO_MANY_PIECES",
            Self::Order(OrderFault::UnknownProduct { .. }) => "UNKNOWN_PRODUCT",
            Self::Order(OrderFault::UnknownVariant { .. }) => "UNKNOWN_VARIANT",
            Self::Order(OrderFault::VariantRequired { .. }) => "VARIANT_REQUIRED",
            Self::Order(OrderFault::Short(_)) => "OUT_OF_STOCK",
            Self::Order(OrderFault::Unaffordable(_)) | Self::Balance(_) => "INSUFFICIENT_BALANCE",
            Self::LimitExceeded { .. } => "BALANCE_LIMIT_EXCEEDED",
            Self::Coupon(CouponFault::Unknown) | Self::Claim(ClaimRefusal::Unknown) => "COUPON_UNKNOWN",
            Self::Coupon(CouponFault::NotHeld) => "COUPON_NOT_HELD",
            Self::Coupon(CouponFault::AlreadyUsed) => "COUPON_ALREADY_USED",
            Self::Coupon(CouponFault::Expired) => "COUPON_EXPIRED",
            Self::Coupon(CouponFault::BelowMinimum { .. }) => "COUPON_BELOW_MINIMUM",
            Self::Claim(ClaimRefusal::NotStarted(_)) => "COUPON_NOT_STARTED",
            Self::Claim(ClaimRefusal::Ended(_)) => "COUPON_ENDED",
            Self::Claim(ClaimRefusal::AlreadyClaimed { .. }) => "COUPON_ALREADY_CLAIMED",
            Self::Claim(ClaimRefusal::SoldOut) => "COUPON_SOLD_OUT",
        }
    }

    /// The reason, in a sentence.
    pub(crate) fn text(&self, language: Language) -> Text {
        self.both().in_language(language)
    }

    fn both(&self) -> Both {
        match self {
            Self::Required | Self::Profile(ProfileError::Empty) => {
                both("필수 값입니다.", "This is required.")
            }
            Self::UnknownField => both("알 수 없는 필드입니다.", "There is no such field."),
            Self::UnknownParameter => both("알 수 없는 파라미터입니다.", "There is no such parameter."),
            Self::Repeated => both("두 번 이상 지정되었습니다.", "This is given more than once."),
            Self::WrongType => both("값의 형식이 올바르지 않습니다.", "The value has the wrong type."),
            Self::Malformed | Self::Profile(ProfileError::Malformed) => {
                both("형식이 올바르지 않습니다.", "The value is malformed.")
            }
            Self::MalformedJson { line, column } => both(
                format!("올바른 JSON이 아닙니다. ({line}행 {column}열)"),
                format!("This is not JSON (line {line}, column {column})."),
            ),
            Self::NotUtf8 => both("본문이 UTF-8이 아닙니다.", "The body is not UTF-8."),
            Self::BodyIncomplete => both("본문이 끝까지 전송되지 않았습니다.", "The body is incomplete."),
            Self::NotAnId => both("1 이상의 정수여야 합니다.", "This must be a whole number, 1 or more."),
            Self::NotAnIdempotencyKey => both(
                "공백이 없는 1~255자의 ASCII 문자여야 합니다.",
                "This must be 1 to 255 visible ASCII characters.",
            ),
            Self::Token(fault) => token(*fault),
            Self::OutOfRange { least, most } => both(
                format!("{least} 이상 {most} 이하의 정수여야 합니다."),
                format!("This must be a whole number from {least} to {most}."),
            ),
            Self::NotOneOf(allowed) => both(
                format!("다음 중 하나여야 합니다: {}", allowed.join(", ")),
                format!("This must be one of {}.", allowed.join(", ")),
            ),
            Self::NotAMoment => both(
                "ISO-8601 시각이어야 합니다. 예: 2025-11-09T12:34:56Z",
                "This must be a moment in ISO-8601, such as 2025-11-09T12:34:56Z.",
            ),
            Self::EndsBeforeItBegins => both("from보다 늦어야 합니다.", "This must be later than `from`."),
            Self::NotAZone => both(
                "UTC와의 차이여야 합니다. 예: +09:00",
                "This must be a difference from UTC, such as +09:00.",
            ),
            Self::BadPeriod { days } => both(
                format!("from보다 늦어야 하고, 기간은 최대 {days}일입니다."),
                format!("This must be later than `from`, by {days} days at most."),
            ),
            Self::BelowMinimum { minimum } => {
                both(format!("{minimum} 이상이어야 합니다."), format!("This must be at least {minimum}."))
            }
            Self::Zero => both("0이 아니어야 합니다.", "This must not be zero."),
            Self::Balance(short) => unaffordable(*short),
            Self::Profile(ProfileError::TooLong(most)) | Self::TooLong { longest: most } => both(
                format!("{most}자를 넘을 수 없습니다."),
                format!("This must not be longer than {most} characters."),
            ),
            Self::Amount(error) => amount(*error),
            Self::NothingToChange => {
                both("변경할 값이 없습니다.", "There is nothing that is to be different.")
            }
            Self::BalanceLeft(balance) => {
                both(format!("잔액 {balance}이 남아 있습니다."), format!("{balance} is left in the wallet."))
            }
            Self::OpenOrders { status, count } => both(
                format!("{status} 상태의 주문이 {count}건 있습니다."),
                format!("There are orders that are {status}: {count}."),
            ),
            Self::EmailTaken | Self::NameTaken => both("이미 사용 중입니다.", "This is taken."),
            Self::EmailTaken | Self::NameTaken | Self::CodeTaken => {
                both("이미 사용 중입니다.", "This is taken.")
            }
            Self::Deleted => both("이미 삭제되었습니다.", "It was deleted."),
            Self::HasProducts => {
                both("삭제되지 않은 상품이 있습니다.", "It has products that are not deleted.")
            }
            Self::NotACouponCode => both(
                "영문자, 숫자, 하이픈, 밑줄로 된 1~64자여야 합니다.",
                "This must be 1 to 64 letters, digits, hyphens or underscores.",
            ),
            Self::NotAPercentage => {
                both("0보다 크고 100 이하여야 합니다.", "A percentage is above 0 and at most 100.")
            }
            Self::NotAfter(field) => {
                both(format!("{field}보다 늦어야 합니다."), format!("This must be later than {field}."))
            }
            Self::Retired => both("이미 발급이 종료되었습니다.", "It was retired."),
            Self::Issued => {
                both("쿠폰이 발급된 뒤에는 바꿀 수 없습니다.", "This cannot change once a coupon was issued.")
            }
            Self::BelowIssued { issued } => {
                both(format!("이미 {issued}개가 발급되었습니다."), format!("{issued} were issued already."))
            }
            Self::Version(version) => both(
                format!("현재 버전은 {version}입니다."),
                format!("The version there is now is {version}."),
            ),
            Self::NotALine { longest } => both(
                format!("줄바꿈 없이 1자 이상 {longest}자 이하여야 합니다."),
                format!("This must be a line of 1 to {longest} characters."),
            ),
            Self::TooManyEntries { most } => {
                both(format!("최대 {most}개까지 쓸 수 있습니다."), format!("This may have {most} entries."))
            }
            Self::NotAnAddress => both(
                "http:// 또는 https://로 시작하는 올바른 주소여야 합니다.",
                "This must be an address that begins with http:// or https://.",
            ),
            Self::Catalogue(fault) => catalogue(*fault),
            Self::OrderStatus(status) => {
                both(format!("주문 상태는 {status}입니다."), format!("The order is {status}."))
            }
            Self::HoldEnded(until) => {
                let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
                both(format!("결제 기한은 {until}까지였습니다."), format!("It could be paid until {until}."))
            }
            Self::UnknownCartItem => both("장바구니에 없는 항목입니다.", "Your cart has no such line."),
            Self::CartFull => both(
                format!("장바구니에는 {}개 항목까지 담을 수 있습니다.", Cart::MAX_LINES),
                format!("A cart has at most {} lines.", Cart::MAX_LINES),
            ),
            Self::CartEmpty => both("주문할 항목이 없습니다.", "There is nothing to order."),
            Self::LimitExceeded { balance, maximum } => both(
                format!("현재 잔액은 {balance}이고, {maximum}까지 충전할 수 있습니다."),
                format!("The balance is {balance} and may become {maximum}."),
            ),
            Self::Order(fault) => order(fault),
            Self::Coupon(fault) => coupon(fault),
            Self::Claim(refusal) => claim(refusal),
        }
    }
}

fn token_code(fault: TokenFault) -> &'static str {
    match fault {
        TokenFault::NotBearer => "NOT_BEARER",
        TokenFault::TooLong => "TOKEN_TOO_LONG",
        TokenFault::Malformed => "TOKEN_MALFORMED",
        TokenFault::Algorithm => "TOKEN_ALGORITHM",
        TokenFault::UnknownKey => "TOKEN_KEY_UNKNOWN",
        TokenFault::Signature => "TOKEN_SIGNATURE",
        TokenFault::Expired => "TOKEN_EXPIRED",
        TokenFault::NotYetValid => "TOKEN_NOT_YET_VALID",
        TokenFault::Missing(_) => "TOKEN_CLAIM_MISSING",
        TokenFault::Claim(_) => "TOKEN_CLAIM_MALFORMED",
        TokenFault::Audience => "TOKEN_AUDIENCE",
        TokenFault::Issuer => "TOKEN_ISSUER",
    }
}

/// The English ones go into a header, in quotes: they have none of their own.
fn token(fault: TokenFault) -> Both {
    match fault {
        TokenFault::NotBearer => both("Bearer와 토큰이어야 합니다.", "This must be Bearer and a token."),
        TokenFault::TooLong => both("토큰이 너무 깁니다.", "The token is too long."),
        TokenFault::Malformed => {
            both("서명된 JWT가 아닙니다.", "This is no JWT that is signed with HS256, RS256 or EdDSA.")
        }
        TokenFault::Algorithm => {
            both("허용되지 않는 서명 알고리즘입니다.", "No key is there for the algorithm of the token.")
        }
        TokenFault::UnknownKey => {
            both("알 수 없는 키(kid)입니다.", "The key that the token names is not known.")
        }
        TokenFault::Signature => both("서명이 올바르지 않습니다.", "The signature of the token is wrong."),
        TokenFault::Expired => both("만료된 토큰입니다.", "The token has expired."),
        TokenFault::NotYetValid => both("아직 유효하지 않은 토큰입니다.", "The token is not valid yet."),
        TokenFault::Missing(claim) => {
            both(format!("클레임 {claim}이(가) 없습니다."), format!("The token has no claim {claim}."))
        }
        TokenFault::Claim(claim) => both(
            format!("클레임 {claim}의 형식이 올바르지 않습니다."),
            format!("The claim {claim} of the token is malformed."),
        ),
        TokenFault::Audience => {
            both("다른 대상(aud)을 위한 토큰입니다.", "The token is for another audience.")
        }
        TokenFault::Issuer => both("발급자(iss)가 다른 토큰입니다.", "The token is from another issuer."),
    }
}

fn order(fault: &OrderFault) -> Both {
    match fault {
        OrderFault::LineCount => both(
            format!("주문 항목은 1개 이상 {}개 이하여야 합니다.", OrderRequest::MAX_LINES),
            format!("An order has 1 to {} lines.", OrderRequest::MAX_LINES),
        ),
        OrderFault::TooManyPieces { .. } => both(
            format!("같은 상품은 모두 합해 {}개까지 주문할 수 있습니다.", Quantity::MAX),
            format!("An order can have {} pieces of a product, all lines together.", Quantity::MAX),
        ),
        OrderFault::TooLarge => both("주문 금액이 너무 큽니다.", "The total of the order is too large."),
        OrderFault::UnknownProduct { product } => both(
            format!("판매 중인 상품이 아닙니다: {product}"),
            format!("Product {product} is not on sale."),
        ),
        OrderFault::UnknownVariant { .. } => {
            both("판매 중인 옵션이 아닙니다.", "The product has no such variant on sale.")
        }
        OrderFault::VariantRequired { product } => both(
            format!("옵션(variantId)을 선택해야 하는 상품입니다: {product}"),
            format!("Product {product} is sold as variants: name one with variantId."),
        ),
        OrderFault::Short(short) => both(
            format!("{}개를 요청했지만 {}개 남았습니다.", short.requested, short.available),
            format!("{} were asked for and {} are left.", short.requested, short.available),
        ),
        OrderFault::Unaffordable(short) => unaffordable(*short),
    }
}

fn unaffordable(InsufficientBalance { required, available }: InsufficientBalance) -> Both {
    both(
        format!("{required}이 필요하지만 잔액은 {available}입니다."),
        format!("{required} is needed and the balance is {available}."),
    )
}

fn catalogue_code(fault: CatalogueFault) -> &'static str {
    match fault {
        CatalogueFault::UnknownStore => "UNKNOWN_STORE",
        CatalogueFault::UnknownVariant => "UNKNOWN_VARIANT",
        CatalogueFault::Deleted => "DELETED",
        CatalogueFault::PricedByVariants => "PRICED_BY_VARIANTS",
        CatalogueFault::OfVariants => "OF_VARIANTS",
        CatalogueFault::NoVariants => "NO_VARIANTS",
        CatalogueFault::OwnStock { .. } => "HAS_STOCK",
        CatalogueFault::NameTaken => "NAME_TAKEN",
        CatalogueFault::TooManyVariants => "TOO_MANY",
        CatalogueFault::TooManyPieces { .. } => "TOO_MANY_PIECES",
        CatalogueFault::Short { .. } => "OUT_OF_STOCK",
    }
}

fn catalogue(fault: CatalogueFault) -> Both {
    match fault {
        CatalogueFault::UnknownStore => both("존재하지 않는 상점입니다.", "There is no such store."),
        CatalogueFault::UnknownVariant => {
            both("상품에 그런 옵션이 없습니다.", "The product has no such variant.")
        }
        CatalogueFault::Deleted => both("삭제된 상품입니다.", "The product was deleted."),
        CatalogueFault::PricedByVariants => both(
            "옵션이 있는 상품의 가격은 옵션의 가격을 따릅니다. 옵션의 가격을 변경해 주세요.",
            "The price of this product is the lowest of its variants. Change theirs.",
        ),
        CatalogueFault::OfVariants => both(
            "옵션이 있는 상품에는 지정할 수 없습니다. 옵션마다 지정해 주세요.",
            "A product with variants has none of its own: say it of each variant.",
        ),
        CatalogueFault::NoVariants => both("옵션이 없는 상품입니다.", "The product has no variants."),
        CatalogueFault::OwnStock { stock } => both(
            format!(
                "상품 자체의 재고가 {stock}개 남아 있어 옵션을 추가할 수 없습니다. 재고를 먼저 0으로 조정해 주세요."
            ),
            format!(
                "The product has {stock} pieces that would belong to no variant. Take them out of the stock first."
            ),
        ),
        CatalogueFault::NameTaken => {
            both("이미 사용 중인 옵션 이름입니다.", "Another variant of the product has this name.")
        }
        CatalogueFault::TooManyVariants => both(
            format!("옵션은 최대 {}개까지 만들 수 있습니다.", ManagedProduct::MOST_VARIANTS),
            format!("A product has at most {} variants.", ManagedProduct::MOST_VARIANTS),
        ),
        CatalogueFault::TooManyPieces { room } => both(
            format!("재고는 {room}개까지만 더 늘릴 수 있습니다."),
            format!("There is room for {room} more pieces."),
        ),
        CatalogueFault::Short { requested, available } => both(
            format!("{requested}개를 빼려고 했지만 {available}개 남았습니다."),
            format!("{requested} were to be taken out and {available} are left."),
        ),
    }
}

fn amount(error: MoneyError) -> Both {
    match error {
        MoneyError::NotANumber => both("금액은 십진수여야 합니다.", "An amount must be a decimal number."),
        MoneyError::TooPrecise => {
            both("금액은 소수점 둘째 자리까지 쓸 수 있습니다.", "An amount has at most two decimals.")
        }
        MoneyError::TooLarge => both("금액이 너무 큽니다.", "The amount is too large."),
    }
}

fn coupon(fault: &CouponFault) -> Both {
    match fault {
        CouponFault::Unknown => both("존재하지 않는 쿠폰입니다.", "No coupon has this code."),
        CouponFault::NotHeld => both("발급받지 않은 쿠폰입니다.", "You have not claimed this coupon."),
        CouponFault::AlreadyUsed => both("이미 사용한 쿠폰입니다.", "The coupon was used already."),
        CouponFault::Expired => both("사용 기간이 지난 쿠폰입니다.", "The coupon has expired."),
        CouponFault::BelowMinimum { minimum } => both(
            format!("주문 금액이 {minimum} 이상일 때 사용할 수 있습니다."),
            format!("The coupon can be used on a total of at least {minimum}."),
        ),
    }
}

fn claim(refusal: &ClaimRefusal) -> Both {
    const MOMENT: &str = "%Y-%m-%dT%H:%M:%SZ";
    match refusal {
        ClaimRefusal::Unknown => both("존재하지 않는 쿠폰입니다.", "No coupon has this code."),
        ClaimRefusal::NotStarted(at) => both(
            format!("{}부터 발급받을 수 있습니다.", at.format(MOMENT)),
            format!("It can be claimed from {}.", at.format(MOMENT)),
        ),
        ClaimRefusal::Ended(at) => both(
            format!("발급 기간이 {}에 끝났습니다.", at.format(MOMENT)),
            format!("It could be claimed until {}.", at.format(MOMENT)),
        ),
        ClaimRefusal::AlreadyClaimed { .. } => both("이미 발급받았습니다.", "You have it already."),
        ClaimRefusal::SoldOut => both("모두 소진되었습니다.", "All have been issued."),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn preferred(header: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(header).unwrap());
        Language::preferred(&headers)
    }

    #[test]
    fn korean_unless_english_is_liked_better() {
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::Korean);
        for header in
            ["ko", "ko-KR,en;q=0.9", "fr", "*", "", "en;q=0", "en;q=0.5, ko;q=0.8", "en;q=x", "ko,en"]
        {
            assert_eq!(preferred(header), Language::Korean, "{header}");
        }
        for header in ["en", "EN-us", "fr, en;q=0.5", "ko;q=0.1, en-GB;q=0.7", "en,ko", "en, *;q=0.1"] {
            assert_eq!(preferred(header), Language::English, "{header}");
        }
    }
}
