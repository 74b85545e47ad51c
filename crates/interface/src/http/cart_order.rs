//! Ordering what is in the cart.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::TimeDelta;
use jangteo_application::Submission;
use jangteo_application::operation::Outcome;
use jangteo_application::order_carts::{NotOrdered, OrderCart as Command, OrderCarts};
use jangteo_domain::cart::{Cart, CartLine, NoOrder};
use jangteo_domain::{CartItemId, UserId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shop;
use super::answers::Answers;
use super::body::OptionalBody;
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, OrderFault, Problem, Reason};
use super::exact::WholeInput;
use super::headers::{Caller, CallerHeaders, Key, KeyHeader, mark_replayed};
use super::orders::{OrderBody, OrderNames, parse_coupon, parse_terms, placed, refused};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/cart/order").post(order)]
}

/// What of the cart is ordered, and how.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"cartItemIds": [31, 32], "couponCode": null, "payment": "IMMEDIATE"}))]
pub(crate) struct OrderCart {
    /// Which lines; all when this is left out or null.
    #[serde(default)]
    #[schema(value_type = Option<Vec<i64>>, min_items = 1, max_items = 100)]
    cart_item_ids: Option<Vec<WholeInput>>,
    /// A coupon that the customer has claimed.
    #[serde(default)]
    coupon_code: Option<String>,
    /// When it is paid: `IMMEDIATE`, which is the default, or `DEFERRED`, as when an order is placed.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "IMMEDIATE")]
    payment: Option<String>,
}

impl OrderCart {
    /// What is asked for, and the lines as they were chosen.
    fn parse(self, user: UserId, hold: TimeDelta) -> Result<(Command, Vec<CartItemId>), ApiError> {
        let terms = parse_terms(self.payment.as_deref(), hold)?;
        let chosen = self.cart_item_ids.as_deref().map(parse_items).transpose()?;
        let coupon = self.coupon_code.as_deref().map(parse_coupon).transpose()?;
        let items = chosen.as_ref().map(|chosen| chosen.iter().copied().collect());
        Ok((Command { user, items, coupon, terms }, chosen.unwrap_or_default()))
    }
}

/// Every bad id is named, not only the first.
fn parse_items(ids: &[WholeInput]) -> Result<Vec<CartItemId>, ApiError> {
    if !(1..=Cart::MAX_LINES).contains(&ids.len()) {
        return Err(ApiError::invalid_field("cartItemIds", Reason::Order(OrderFault::LineCount)));
    }
    let (mut faults, mut seen, mut items) = (Vec::new(), BTreeSet::new(), Vec::with_capacity(ids.len()));
    for (index, id) in ids.iter().enumerate() {
        let fault = match *id {
            WholeInput::Whole(id) if id > 0 && seen.insert(id) => {
                items.push(CartItemId(id));
                continue;
            }
            WholeInput::Whole(id) if id > 0 => Reason::Repeated,
            WholeInput::Whole(_) | WholeInput::Other | WholeInput::Missing => Reason::NotAnId,
        };
        faults.push(Detail::new(format!("cartItemIds[{index}]"), fault));
    }
    if faults.is_empty() { Ok(items) } else { Err(ApiError::invalid(faults)) }
}

/// Lines are named by their ids, however they were chosen.
fn names(lines: &[CartLine]) -> OrderNames {
    let lines = lines.iter().map(|line| (line.sku, format!("cartItems[{}]", line.id))).collect();
    OrderNames { order: "cart", lines }
}

fn not_ordered(refusal: &NotOrdered, chosen: &[CartItemId]) -> ApiError {
    match refusal {
        NotOrdered::NoOrder(NoOrder::Empty) => {
            ApiError::from(Problem::CartEmpty).with(vec![Detail::new("cart", Reason::CartEmpty)])
        }
        NotOrdered::NoOrder(NoOrder::UnknownItems(unknown)) => {
            let unknown = chosen.iter().enumerate().filter(|(_, item)| unknown.contains(item));
            let details = unknown
                .map(|(index, _)| Detail::new(format!("cartItemIds[{index}]"), Reason::UnknownCartItem));
            ApiError::from(Problem::NoSuchCartItem).with(details.collect())
        }
        NotOrdered::Refused { refusal, lines } => refused(refusal, &names(lines)),
    }
}

/// Order the cart
///
/// All of it, or the lines that are chosen. It is an order like any other, at the prices of this moment, and takes just those
/// lines out of the cart: both or neither. When it is refused the cart is as it was, and the details name everything that is
/// wrong, lines of the cart by their ids: `cartItems[31].qty`.
#[utoipa::path(
    post,
    path = "/api/v1/cart/order",
    operation_id = "orderCart",
    tag = "Cart",
    params(CallerHeaders, KeyHeader),
    request_body = Option<OrderCart>,
    responses(
        (
            status = 201,
            description = "The order, paid or waiting for it.",
            headers(("Location" = String, description = "Where the order is.")),
            body = OrderBody,
            example = json!({
                "orderId": 5551,
                "status": "PAID",
                "totalAmount": 39800.00,
                "discountAmount": 0.00,
                "paidAmount": 39800.00,
                "appliedCoupon": null,
                "items": [
                    {"productId": 101, "variantId": 7, "name": "유기농 면 티셔츠", "variantName": "빨강-L", "unitPrice": 19900.00, "qty": 2, "subtotal": 39800.00},
                ],
                "userPointBalance": 60200.00,
                "createdAt": "2025-11-09T12:34:56Z",
                "paidAt": "2025-11-09T12:34:56Z",
            }),
        ),
        (status = 400, description = "`VALIDATION_ERROR`: the request does not parse or is out of range, or a product is sold as variants by now. `COUPON_INVALID`: the coupon cannot be used."),
        (status = 404, description = "`NOT_FOUND`: there is no such user, the cart has no such line, or a product or variant is not on sale any more."),
        (status = 409, description = "`OUT_OF_STOCK`: there are not enough pieces. `INSUFFICIENT_BALANCE`: the balance does not suffice. `CONFLICT`: the cart is empty, or the key was used for another request."),
    ),
)]
pub(crate) async fn order(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    body: OptionalBody<OrderCart>,
) -> Result<HttpResponse, ApiError> {
    let (command, chosen) = body.0.unwrap_or_default().parse(caller.user, shop.order_hold)?;
    let answer = shop.cart_orders.submit(Submission { command, key: key.0 }).await?;
    let receipt =
        answer.outcome.map_err(|refusal| not_ordered(&refusal, &chosen).replayed(answer.replayed))?;
    shop.stock_news.left(&receipt.left);
    Ok(mark_replayed(placed(receipt), answer.replayed))
}

impl Answers for OrderCarts {
    /// Without the request, it is not known which of the chosen lines is which.
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        outcome.map(placed).map_err(|refusal| not_ordered(&refusal, &[]))
    }
}
