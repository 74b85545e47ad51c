use std::fmt;

use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::measure::Answer;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A page of products.
    ListProducts,
    /// One of them.
    ShowProduct,
    /// What sells well.
    ListPopular,
    /// Money into the wallet.
    Charge,
    /// The same, because there is too little for the next order. No part of an errand.
    TopUp,
    /// An order that is paid at once.
    PlaceOrder,
    /// An order taken back.
    CancelOrder,
    /// A line into the cart.
    AddToCart,
    /// A look at the cart.
    ShowCart,
    /// What could not be ordered out of the cart.
    ClearCart,
    /// The cart's order, to be paid later.
    OrderCart,
    /// Its payment.
    PayOrder,
    /// A coupon.
    ClaimCoupon,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was asked for.
    Granted,
    /// That it cannot be had any more, with the products that are sold out.
    Refused(Vec<i64>),
    /// Something that nobody expects from a shop in order.
    Unexpected(Answer),
}

impl Kind {
    pub(crate) fn method(self) -> Method {
        match self {
            Self::ListProducts | Self::ShowProduct | Self::ListPopular | Self::ShowCart => Method::GET,
            Self::ClearCart => Method::DELETE,
            Self::Charge
            | Self::TopUp
            | Self::PlaceOrder
            | Self::CancelOrder
            | Self::AddToCart
            | Self::OrderCart
            | Self::PayOrder
            | Self::ClaimCoupon => Method::POST,
        }
    }

    /// The status of an answer that grants it.
    fn granted(self) -> StatusCode {
        match self {
            Self::PlaceOrder | Self::AddToCart | Self::OrderCart => StatusCode::CREATED,
            Self::ClearCart => StatusCode::NO_CONTENT,
            Self::ListProducts
            | Self::ShowProduct
            | Self::ListPopular
            | Self::Charge
            | Self::TopUp
            | Self::CancelOrder
            | Self::ShowCart
            | Self::PayOrder
            | Self::ClaimCoupon => StatusCode::OK,
        }
    }

    /// Codes of refusals, each with 409, that a shop in order may answer: things sell out, wallets are full.
    fn refusals(self) -> &'static [&'static str] {
        match self {
            Self::PlaceOrder | Self::AddToCart | Self::OrderCart => &["OUT_OF_STOCK"],
            Self::Charge => &["BALANCE_LIMIT_EXCEEDED"],
            Self::ClaimCoupon => &["COUPON_SOLD_OUT", "COUPON_ALREADY_CLAIMED"],
            Self::ListProducts
            | Self::ShowProduct
            | Self::ListPopular
            | Self::TopUp
            | Self::CancelOrder
            | Self::ShowCart
            | Self::ClearCart
            | Self::PayOrder => &[],
        }
    }

    /// What came of such a request.
    pub(crate) fn judge(self, status: StatusCode, body: &[u8]) -> Verdict {
        if status == self.granted() {
            return Verdict::Granted;
        }
        let unexpected = Verdict::Unexpected(Answer::Status(status.as_u16()));
        if status != StatusCode::CONFLICT || self.refusals().is_empty() {
            return unexpected;
        }
        match serde_json::from_slice::<Refusal>(body) {
            Ok(refusal) if self.refusals().contains(&refusal.error.as_str()) => {
                let products = refusal.details.into_iter().filter_map(|detail| detail.product_id);
                Verdict::Refused(products.collect())
            }
            Ok(_) | Err(_) => unexpected,
        }
    }
}

/// What there is to know of an error.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    product_id: Option<i64>,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ListProducts => "GET /products",
            Self::ShowProduct => "GET /products/{id}",
            Self::ListPopular => "GET /stats/popular-products",
            Self::Charge => "POST /wallets/charge",
            Self::TopUp => "POST /wallets/charge, to go on",
            Self::PlaceOrder => "POST /orders",
            Self::CancelOrder => "POST /orders/{id}/cancel",
            Self::AddToCart => "POST /cart/items",
            Self::ShowCart => "GET /cart",
            Self::ClearCart => "DELETE /cart",
            Self::OrderCart => "POST /cart/order",
            Self::PayOrder => "POST /orders/{id}/pay",
            Self::ClaimCoupon => "POST /coupons/{code}/claim",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFLICT: StatusCode = StatusCode::CONFLICT;

    #[test]
    fn each_request_has_the_status_that_grants_it() {
        assert_eq!(Kind::PlaceOrder.judge(StatusCode::CREATED, b""), Verdict::Granted);
        assert_eq!(Kind::OrderCart.judge(StatusCode::CREATED, b""), Verdict::Granted);
        assert_eq!(Kind::AddToCart.judge(StatusCode::CREATED, b""), Verdict::Granted);
        assert_eq!(Kind::ClearCart.judge(StatusCode::NO_CONTENT, b""), Verdict::Granted);
        for kind in [Kind::ListProducts, Kind::Charge, Kind::PayOrder, Kind::CancelOrder, Kind::ClaimCoupon] {
            assert_eq!(kind.judge(StatusCode::OK, b""), Verdict::Granted, "{kind}");
        }
        let other = Verdict::Unexpected(Answer::Status(200));
        assert_eq!(Kind::PlaceOrder.judge(StatusCode::OK, b""), other);
    }

    #[test]
    fn what_is_sold_out_is_an_answer_and_says_which_product() {
        let body = br#"{"error":"OUT_OF_STOCK","message":"","details":[
            {"field":"items[0].qty","reason":"","productId":7,"requested":1,"available":0},
            {"field":"paidAmount","reason":""}]}"#;
        assert_eq!(Kind::PlaceOrder.judge(CONFLICT, body), Verdict::Refused(vec![7]));
        let claimed = br#"{"error":"COUPON_ALREADY_CLAIMED","message":""}"#;
        assert_eq!(Kind::ClaimCoupon.judge(CONFLICT, claimed), Verdict::Refused(Vec::new()));
    }

    #[test]
    fn a_conflict_that_nobody_expects_is_a_failure() {
        let unexpected = Verdict::Unexpected(Answer::Status(409));
        let poor = br#"{"error":"INSUFFICIENT_BALANCE","details":[]}"#;
        assert_eq!(Kind::PlaceOrder.judge(CONFLICT, poor), unexpected);
        let sold_out = br#"{"error":"OUT_OF_STOCK","details":[]}"#;
        assert_eq!(Kind::PayOrder.judge(CONFLICT, sold_out), unexpected);
        assert_eq!(Kind::ClaimCoupon.judge(CONFLICT, b"<html>"), unexpected);
        let limited = StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(Kind::ClaimCoupon.judge(limited, b""), Verdict::Unexpected(Answer::Status(429)));
    }
}
