//! Orders.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use chrono::TimeDelta;
use jangteo_application::Submission;
use jangteo_application::cancel_orders::Refund;
use jangteo_application::operation::Outcome;
use jangteo_application::pay_orders::LateReceipt;
use jangteo_application::place_orders::{PlaceOrders, Receipt};
use jangteo_domain::checkout::Refusal;
use jangteo_domain::order::{OrderLine, OrderLinesError, OrderStatus, Terms};
use jangteo_domain::product::NotSold;
use jangteo_domain::{CouponCode, Order, OrderId, OrderRequest, ProductId, Quantity, Sku, UserId, VariantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::answers::Answers;
use super::body::{JsonBody, Object, json, located, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, OrderFault, Problem, Reason};
use super::exact::{Moment, MoneyJson, WholeInput};
use super::headers::{Caller, CallerHeaders, Key, KeyHeader, mark_replayed};
use super::pages::{PageBody, PageParameters};
use super::parameters::{FromQuery, Parameters, PathId, Query};
use super::users::must_exist;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/orders").get(list).post(place), Endpoint::at("/api/v1/orders/{id}").get(order)]
}

/// What is ordered, to be paid from the wallet.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"items": [{"productId": 1, "qty": 2}, {"productId": 2, "qty": 1}], "couponCode": null}))]
pub(crate) struct PlaceOrder {
    /// Lines for the same product are added up.
    #[serde(default)]
    #[schema(value_type = Vec<PlaceOrderItem>, required = true, min_items = 1, max_items = 100)]
    items: Option<Vec<Object<PlaceOrderItem>>>,
    /// A coupon that the customer has claimed.
    #[serde(default)]
    coupon_code: Option<String>,
    /// When it is paid: `IMMEDIATE`, which is the default, or `DEFERRED`: pieces and coupon are held for it until `heldUntil`,
    /// and `POST /orders/{id}/pay` pays it.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "IMMEDIATE")]
    payment: Option<String>,
}

/// How much of what.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PlaceOrderItem {
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = 1)]
    product_id: WholeInput,
    /// Which variant, of a product that is sold as variants.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1)]
    variant_id: WholeInput,
    /// Pieces; those of all lines for the same thing count together.
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = 1, maximum = 1_000_000)]
    qty: WholeInput,
}

type Line = (Sku, Quantity);

impl PlaceOrder {
    fn parse(self, user: UserId, hold: TimeDelta) -> Result<(OrderRequest, Vec<Line>), ApiError> {
        let terms = parse_terms(self.payment.as_deref(), hold)?;
        let lines = parse_lines(self.items.as_deref())?;
        let coupon = self.coupon_code.as_deref().map(parse_coupon).transpose()?;
        let request = OrderRequest::new(user, lines.iter().copied(), coupon);
        let request = request.map_err(|error| ApiError::invalid(vec![lines_fault(error, &lines)]))?;
        Ok((request.on(terms), lines))
    }
}

/// When an order is to be paid.
pub(super) fn parse_terms(payment: Option<&str>, hold: TimeDelta) -> Result<Terms, ApiError> {
    match payment {
        None | Some("IMMEDIATE") => Ok(Terms::Immediate),
        Some("DEFERRED") => Ok(Terms::Deferred { hold }),
        Some(_) => Err(ApiError::invalid_field("payment", Reason::NotOneOf(&["IMMEDIATE", "DEFERRED"]))),
    }
}

/// A code of a form that no coupon has belongs to none.
pub(super) fn parse_coupon(code: &str) -> Result<CouponCode, ApiError> {
    let unknown = Reason::Coupon(jangteo_domain::coupon::CouponFault::Unknown);
    let unknown = || ApiError::from(Problem::CouponInvalid).with(vec![Detail::new("couponCode", unknown)]);
    code.parse().map_err(|_| unknown())
}

/// Every bad line is named, not only the first.
fn parse_lines(items: Option<&[Object<PlaceOrderItem>]>) -> Result<Vec<Line>, ApiError> {
    let items = items.ok_or_else(|| ApiError::invalid_field("items", Reason::Required))?;
    if !(1..=OrderRequest::MAX_LINES).contains(&items.len()) {
        return Err(ApiError::invalid_field("items", Reason::Order(OrderFault::LineCount)));
    }
    let mut faults = Vec::new();
    let lines = items
        .iter()
        .enumerate()
        .filter_map(|(index, Object(item))| {
            let product = parse_product(item.product_id);
            let variant = parse_variant(item.variant_id);
            let pieces = parse_pieces(item.qty);
            let mut noted = |field: &str, reason: &Reason| {
                faults.push(Detail::new(format!("items[{index}].{field}"), reason.clone()));
            };
            product.as_ref().inspect_err(|reason| noted("productId", reason)).ok();
            variant.as_ref().inspect_err(|reason| noted("variantId", reason)).ok();
            pieces.as_ref().inspect_err(|reason| noted("qty", reason)).ok();
            Some((Sku { product: product.ok()?, variant: variant.ok()? }, pieces.ok()?))
        })
        .collect();
    if faults.is_empty() { Ok(lines) } else { Err(ApiError::invalid(faults)) }
}

pub(super) fn parse_product(id: WholeInput) -> Result<ProductId, Reason> {
    match id {
        WholeInput::Missing => Err(Reason::Required),
        WholeInput::Whole(id) if id > 0 => Ok(ProductId(id)),
        WholeInput::Whole(_) | WholeInput::Other => Err(Reason::NotAnId),
    }
}

/// A product that is sold as such has none.
pub(super) fn parse_variant(id: WholeInput) -> Result<Option<VariantId>, Reason> {
    match id {
        WholeInput::Missing => Ok(None),
        WholeInput::Whole(id) if id > 0 => Ok(Some(VariantId(id))),
        WholeInput::Whole(_) | WholeInput::Other => Err(Reason::NotAnId),
    }
}

pub(super) fn parse_pieces(pieces: WholeInput) -> Result<Quantity, Reason> {
    let out_of_range = Reason::OutOfRange { least: 1, most: i64::from(Quantity::MAX) };
    match pieces {
        WholeInput::Missing => Err(Reason::Required),
        WholeInput::Whole(pieces) => Quantity::new(pieces).map_err(|_| out_of_range),
        WholeInput::Other => Err(out_of_range),
    }
}

fn lines_fault(error: OrderLinesError, lines: &[Line]) -> Detail {
    match error {
        OrderLinesError::Count => Detail::new("items", Reason::Order(OrderFault::LineCount)),
        OrderLinesError::TooMany(sku) => {
            let field = OrderNames::of(lines).field_of(sku, "qty");
            Detail::new(field, Reason::Order(OrderFault::TooManyPieces { sku }))
        }
    }
}

/// What a request calls the order that it asks for, and each of its lines.
pub(super) struct OrderNames {
    pub(super) order: &'static str,
    pub(super) lines: Vec<(Sku, String)>,
}

impl OrderNames {
    fn of(lines: &[Line]) -> Self {
        let lines = lines.iter().enumerate().map(|(index, line)| (line.0, format!("items[{index}]")));
        Self { order: "items", lines: lines.collect() }
    }

    /// A field of the first line for a thing.
    fn field_of(&self, sku: Sku, field: &str) -> String {
        let line = self.lines.iter().find(|line| line.0 == sku);
        line.map_or_else(|| self.order.to_owned(), |(_, line)| format!("{line}.{field}"))
    }
}

/// The code is that of the first fault, and the details list them all.
pub(super) fn refused(refusal: &Refusal, names: &OrderNames) -> ApiError {
    if refusal.unknown_user {
        return Problem::NoSuchUser.into();
    }
    if refusal.too_large {
        return ApiError::invalid_field(names.order, Reason::Order(OrderFault::TooLarge));
    }
    let not_sold = refusal.not_sold.iter().map(|&(sku, not_sold)| {
        let product = sku.product;
        let (field, fault) = match not_sold {
            NotSold::UnknownProduct => ("productId", OrderFault::UnknownProduct { product }),
            NotSold::UnknownVariant => ("variantId", OrderFault::UnknownVariant { sku }),
            NotSold::VariantRequired => ("variantId", OrderFault::VariantRequired { product }),
        };
        Detail::new(names.field_of(sku, field), Reason::Order(fault))
    });
    let coupon = refusal.coupon.map(|fault| Detail::new("couponCode", Reason::Coupon(fault)));
    let shortages = refusal
        .shortages
        .iter()
        .map(|short| Detail::new(names.field_of(short.sku, "qty"), Reason::Order(OrderFault::Short(*short))));
    let balance =
        refusal.balance.map(|short| Detail::new(names.order, Reason::Order(OrderFault::Unaffordable(short))));
    let problem = if refusal.names_no_variant() {
        Problem::Invalid
    } else if !refusal.not_sold.is_empty() {
        Problem::NoSuchProduct
    } else if refusal.coupon.is_some() {
        Problem::CouponInvalid
    } else if !refusal.shortages.is_empty() {
        Problem::OutOfStock
    } else {
        Problem::InsufficientBalance
    };
    let details = not_sold.chain(coupon).chain(shortages).chain(balance);
    ApiError::from(problem).with(details.collect())
}

/// An order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderBody {
    order_id: i64,
    #[schema(value_type = String, example = "PAID")]
    status: &'static str,
    /// The sum of the lines.
    total_amount: MoneyJson,
    /// What the coupon took off.
    discount_amount: MoneyJson,
    /// What was paid from the wallet, or is to be.
    paid_amount: MoneyJson,
    /// The coupon that was used.
    applied_coupon: Option<AppliedCouponBody>,
    /// What was ordered, with names and prices as they were then.
    items: Vec<OrderItemBody>,
    /// The customer's balance right after it; only in the answers to placing, paying and cancelling the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_point_balance: Option<MoneyJson>,
    created_at: Moment,
    /// When it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    paid_at: Option<Moment>,
    /// Until when it can be paid, while it is `PENDING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    held_until: Option<Moment>,
}

/// The coupon used on an order.
#[derive(Serialize, ToSchema)]
pub(crate) struct AppliedCouponBody {
    code: String,
}

/// A line of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderItemBody {
    product_id: i64,
    /// Which variant, if it was sold as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    variant_id: Option<i64>,
    name: String,
    /// The variant's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    variant_name: Option<String>,
    unit_price: MoneyJson,
    qty: i64,
    /// `unitPrice` times `qty`.
    subtotal: MoneyJson,
}

impl From<Order> for OrderBody {
    fn from(order: Order) -> Self {
        Self {
            order_id: order.id.0,
            status: status_name(order.status),
            total_amount: MoneyJson(order.total),
            discount_amount: MoneyJson(order.discount),
            paid_amount: MoneyJson(order.paid),
            applied_coupon: order.coupon.map(|coupon| AppliedCouponBody { code: coupon.code.to_string() }),
            items: order.lines.into_iter().map(OrderItemBody::from).collect(),
            user_point_balance: None,
            created_at: Moment(order.created_at),
            paid_at: order.paid_at.map(Moment),
            held_until: order.held_until.map(Moment),
        }
    }
}

impl From<Receipt> for OrderBody {
    fn from(receipt: Receipt) -> Self {
        Self { user_point_balance: Some(MoneyJson(receipt.balance)), ..Self::from(receipt.order) }
    }
}

impl From<LateReceipt> for OrderBody {
    fn from(receipt: LateReceipt) -> Self {
        Self { user_point_balance: Some(MoneyJson(receipt.balance)), ..Self::from(receipt.order) }
    }
}

impl From<Refund> for OrderBody {
    fn from(refund: Refund) -> Self {
        Self { user_point_balance: Some(MoneyJson(refund.balance)), ..Self::from(refund.order) }
    }
}

impl From<OrderLine> for OrderItemBody {
    fn from(line: OrderLine) -> Self {
        Self {
            product_id: line.sku.product.0,
            variant_id: line.sku.variant.map(|variant| variant.0),
            name: line.name,
            variant_name: line.variant_name,
            unit_price: MoneyJson(line.unit_price),
            qty: line.quantity.get(),
            subtotal: MoneyJson(line.subtotal),
        }
    }
}

const STATUSES: [&str; 5] = ["PENDING", "PAID", "SHIPPING", "DELIVERED", "CANCELLED"];

pub(super) fn status_name(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending => "PENDING",
        OrderStatus::Paid => "PAID",
        OrderStatus::Shipping => "SHIPPING",
        OrderStatus::Delivered => "DELIVERED",
        OrderStatus::Cancelled => "CANCELLED",
    }
}

fn parse_status(text: &str) -> Option<OrderStatus> {
    match text {
        "PENDING" => Some(OrderStatus::Pending),
        "PAID" => Some(OrderStatus::Paid),
        "SHIPPING" => Some(OrderStatus::Shipping),
        "DELIVERED" => Some(OrderStatus::Delivered),
        "CANCELLED" => Some(OrderStatus::Cancelled),
        _ => None,
    }
}

/// Which orders to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusParameter {
    /// Only those that stand there: `PENDING`, `PAID`, `SHIPPING`, `DELIVERED` or `CANCELLED`.
    #[param(value_type = Option<String>, example = "PAID")]
    pub(super) status: Option<OrderStatus>,
}

impl FromQuery for StatusParameter {
    fn take_from(query: &mut Query) -> Self {
        Self { status: query.one_of("status", &STATUSES, parse_status) }
    }
}

/// What the list of orders is asked with.
pub(crate) struct ListParameters {
    page: PageParameters,
    status: StatusParameter,
}

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { page: PageParameters::take_from(query), status: StatusParameter::take_from(query) }
    }
}

/// Place an order
///
/// It is paid at once from the wallet, or later: then its pieces are held and its coupon is used until `heldUntil`. Stock,
/// wallet, coupon, order and payment change together or not at all. A refusal names everything that is wrong: each short
/// line, the missing balance, the coupon's fault.
#[utoipa::path(
    post,
    path = "/api/v1/orders",
    operation_id = "placeOrder",
    tag = "Orders",
    params(CallerHeaders, KeyHeader),
    request_body = PlaceOrder,
    responses(
        (
            status = 201,
            description = "The order, paid or waiting for it.",
            headers(("Location" = String, description = "Where the order is.")),
            body = OrderBody,
            example = json!({
                "orderId": 5551,
                "status": "PAID",
                "totalAmount": 59700.00,
                "discountAmount": 5970.00,
                "paidAmount": 53730.00,
                "appliedCoupon": {"code": "WELCOME10"},
                "items": [
                    {"productId": 101, "name": "유기농 면 티셔츠", "unitPrice": 19900.00, "qty": 3, "subtotal": 59700.00},
                ],
                "userPointBalance": 46270.00,
                "createdAt": "2025-11-09T12:34:56Z",
                "paidAt": "2025-11-09T12:34:56Z",
            }),
        ),
        (status = 400, description = "`VALIDATION_ERROR`: the request does not parse or is out of range. `COUPON_INVALID`: the coupon cannot be used."),
        (status = 404, description = "`NOT_FOUND`: there is no such user, or a product or variant is not on sale."),
        (status = 409, description = "`OUT_OF_STOCK`: there are not enough pieces. `INSUFFICIENT_BALANCE`: the balance does not suffice. `CONFLICT`: the key was used for another request."),
    ),
)]
pub(crate) async fn place(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    body: JsonBody<PlaceOrder>,
) -> Result<HttpResponse, ApiError> {
    let (command, lines) = body.0.parse(caller.user, shop.order_hold)?;
    let answer = shop.orders.submit(Submission { command, key: key.0 }).await?;
    let refused = |refusal| refused(&refusal, &OrderNames::of(&lines)).replayed(answer.replayed);
    let receipt = answer.outcome.map_err(refused)?;
    shop.stock_news.left(&receipt.left);
    Ok(mark_replayed(placed(receipt), answer.replayed))
}

/// The answer to an order that was accepted.
pub(super) fn placed(receipt: Receipt) -> HttpResponse {
    let location = format!("/api/v1/orders/{}", receipt.order.id);
    located(json(StatusCode::CREATED, &OrderBody::from(receipt)), &location)
}

impl Answers for PlaceOrders {
    /// Without the request, it is not known which of its lines is which.
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        outcome.map(placed).map_err(|refusal| refused(&refusal, &OrderNames::of(&[])))
    }
}

/// The caller's orders, latest first
#[utoipa::path(
    get,
    path = "/api/v1/orders",
    operation_id = "listOrders",
    tag = "Orders",
    params(CallerHeaders, StatusParameter, PageParameters),
    responses(
        (status = 200, description = "A page of orders.", body = PageBody<OrderBody>),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    caller: Caller,
    parameters: Parameters<ListParameters>,
) -> Result<HttpResponse, ApiError> {
    let ListParameters { page, status: StatusParameter { status } } = parameters.0;
    let orders = shop.customers.orders(caller.user, status, page.request()).await?;
    if orders.total == 0 {
        must_exist(&shop, caller.user).await?;
    }
    Ok(ok(&PageBody::of(orders, OrderBody::from)))
}

/// One order
///
/// Only the customer and administrators see it; to others it does not exist.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{id}",
    operation_id = "getOrder",
    tag = "Orders",
    params(CallerHeaders, ("id" = i64, Path, description = "The order.", minimum = 1)),
    responses(
        (status = 200, description = "The order.", body = OrderBody),
        (status = 404, description = "`NOT_FOUND`: the caller has no such order."),
    ),
)]
pub(crate) async fn order(shop: Data<Shop>, caller: Caller, id: PathId) -> Result<HttpResponse, ApiError> {
    Ok(ok(&OrderBody::from(shown_order(&shop, caller, &id).await?)))
}

/// An order to be shown. Who has left has no orders any more; administrators need not be customers.
pub(super) async fn shown_order(shop: &Shop, caller: Caller, id: &PathId) -> Result<Order, ApiError> {
    let order = visible_order(shop, caller, id).await?;
    if !caller.is_admin {
        must_exist(shop, caller.user).await?;
    }
    Ok(order)
}

/// An order that the caller may see.
pub(super) async fn visible_order(shop: &Shop, caller: Caller, id: &PathId) -> Result<Order, ApiError> {
    let order = shop.customers.order(OrderId(id.0)).await?;
    let order = order.filter(|order| caller.may_see_what_belongs_to(order.user));
    order.ok_or(Problem::NoSuchOrder.into())
}

#[cfg(test)]
mod tests {
    use jangteo_domain::Money;
    use jangteo_domain::coupon::CouponFault;
    use jangteo_domain::product::OutOfStock;
    use jangteo_domain::wallet::InsufficientBalance;

    use super::*;

    fn parse(json: &str) -> Result<(OrderRequest, Vec<Line>), ApiError> {
        serde_json::from_str::<PlaceOrder>(json).unwrap().parse(UserId(1), TimeDelta::minutes(15))
    }

    #[test]
    fn every_bad_line_is_named() {
        let json = r#"{"items":[{"productId":1,"qty":0},{"productId":"1","qty":1.5},{"qty":1},{"productId":2,"qty":1}]}"#;
        let faults = parse(json).unwrap_err().into_details();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_ref()).collect();
        assert_eq!(fields, ["items[0].qty", "items[1].productId", "items[1].qty", "items[2].productId"]);
    }

    #[test]
    fn a_refusal_lists_everything_under_the_first_code() {
        let (short, dear) = (Sku::from(ProductId(7)), Sku::from(ProductId(3)));
        let lines = [(dear, Quantity::new(1).unwrap()), (short, Quantity::new(5).unwrap())];
        let out_of_stock = OutOfStock { sku: short, requested: Quantity::new(5).unwrap(), available: 2 };
        let balance = InsufficientBalance { required: Money::from_minor(10_00), available: Money::ZERO };
        let refusal = Refusal {
            coupon: Some(CouponFault::Expired),
            shortages: vec![out_of_stock],
            balance: Some(balance),
            ..Refusal::default()
        };
        let error = refused(&refusal, &OrderNames::of(&lines));
        assert_eq!(error.to_string(), "CouponInvalid");
        let fields: Vec<_> = error.into_details().into_iter().map(|detail| detail.field).collect();
        assert_eq!(fields, ["couponCode", "items[1].qty", "items"]);
        let without_coupon = Refusal { coupon: None, ..refusal };
        assert_eq!(refused(&without_coupon, &OrderNames::of(&lines)).to_string(), "OutOfStock");
    }

    #[test]
    fn every_status_has_a_name_that_is_read_back() {
        for name in STATUSES {
            assert_eq!(parse_status(name).map(status_name), Some(name));
        }
    }
}
