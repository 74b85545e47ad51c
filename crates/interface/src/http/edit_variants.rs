//! What products are sold as, and how many there are of it, changed by administrators.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use jangteo_application::adjust_stock::{Adjust, AdjustStock, StockAfter};
use jangteo_application::edit_products::{Edited, Update};
use jangteo_application::operation::Outcome;
use jangteo_application::trail::Administrator;
use jangteo_application::{Operation, Submission};
use jangteo_domain::catalogue::{AdjustmentKind, ManagedProduct, StockReason, VariantChanges};
use jangteo_domain::{ProductId, VariantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, json, ok};
use super::edit_products::submit_update;
use super::endpoint::Endpoint;
use super::error::{ApiError, CatalogueFault, Problem, Reason};
use super::exact::{AmountInput, MoneyJson, WholeInput};
use super::headers::{Admin, CallerHeaders, Key, KeyHeader};
use super::managed_products::ManagedVariantBody;
use super::parameters::{PathId, PathIds};
use super::product_fields::{CreateVariant, Fields};
use super::versions::{IfMatch, IfMatchHeader, tagged};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/products/{id}/variants").post(add),
        Endpoint::at("/api/v1/admin/products/{id}/variants/{variantId}").patch(change),
        Endpoint::at("/api/v1/admin/products/{id}/stock").post(adjust),
    ]
}

/// What is to be different about a variant; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"active": false}))]
pub(crate) struct ChangeVariant {
    /// Unique within the product, inactive variants included.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Of one piece.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = false)]
    price: AmountInput,
    /// Whether it is on sale.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    active: Option<bool>,
}

impl ChangeVariant {
    fn parse(&self) -> Result<VariantChanges, ApiError> {
        let mut fields = Fields::default();
        let name = fields.text("name", self.name.as_deref());
        let changes = VariantChanges { name, price: fields.price("price", self.price), active: self.active };
        fields.finish(Some(changes))
    }
}

/// Sell a product as one thing more
///
/// The first variant can be added while the product has no pieces of its own: from then on pieces belong to variants, and the
/// product has the lowest price of those that are active. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/products/{id}/variants",
    operation_id = "addVariant",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The product.", minimum = 1, example = 1),
    ),
    request_body = CreateVariant,
    responses(
        (
            status = 201,
            description = "The variant.",
            headers(
                ("Location" = String, description = "Where administrators see the product."),
                ("ETag" = String, description = "The version of the product, in quotes."),
            ),
            body = ManagedVariantBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such product."),
        (status = 409, description = "`CONFLICT`: the product has pieces of its own (`HAS_STOCK`), another variant has the name (`NAME_TAKEN`), it has 100 variants, it was deleted, or the key was used for another request."),
    ),
)]
pub(crate) async fn add(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
    body: JsonBody<CreateVariant>,
) -> Result<HttpResponse, ApiError> {
    let mut fields = Fields::default();
    let variant = fields.new_variant("", &body.0);
    let update = Update::AddVariant(fields.finish(variant)?);
    submit_update(&shop, admin, key, (&id, expected), update).await
}

/// Change a variant
///
/// Only what is named changes. A variant cannot be deleted, as orders and movements of stock name it: `active: false` takes it
/// off sale, and it keeps its name and its pieces. For administrators.
#[utoipa::path(
    patch,
    path = "/api/v1/admin/products/{id}/variants/{variantId}",
    operation_id = "changeVariant",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The product.", minimum = 1, example = 1),
        ("variantId" = i64, Path, description = "The variant.", minimum = 1, example = 7),
    ),
    request_body = ChangeVariant,
    responses(
        (
            status = 200,
            description = "The variant, changed.",
            headers(("ETag" = String, description = "The version of the product, in quotes.")),
            body = ManagedVariantBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such product, or it has no such variant."),
        (status = 409, description = "`CONFLICT`: another variant has the name (`NAME_TAKEN`), the product was deleted, or the key was used for another request."),
    ),
)]
pub(crate) async fn change(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    ids: PathIds,
    body: JsonBody<ChangeVariant>,
) -> Result<HttpResponse, ApiError> {
    let PathIds(product, variant) = ids;
    let update = Update::Variant(VariantId(variant), body.0.parse()?);
    submit_update(&shop, admin, key, (&PathId(product), expected), update).await
}

/// The variant that an edit was about.
pub(super) fn shown_variant(edited: &Edited, status: StatusCode) -> Result<HttpResponse, ApiError> {
    let variant = edited.variant.and_then(|variant| edited.product.variant(variant));
    let variant = variant.ok_or(Problem::Catalogue(CatalogueFault::UnknownVariant))?;
    Ok(tagged(json(status, &ManagedVariantBody::from(variant)), edited.product.version))
}

const KINDS: [&str; 2] = ["RECEIVE", "ADJUST"];

/// Pieces that come into stock or leave it without an order.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"variantId": 8, "quantity": -2, "kind": "ADJUST", "reason": "파손"}))]
pub(crate) struct AdjustProductStock {
    /// Which variant: required of a product that has any, and not allowed otherwise.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 1)]
    variant_id: WholeInput,
    /// What is added to the stock, not zero: negative when pieces leave it. What is received is positive.
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = -1_000_000_000, maximum = 1_000_000_000)]
    quantity: WholeInput,
    /// `RECEIVE`: from a supplier. `ADJUST`: counted anew, broken, lost, found.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    kind: Option<String>,
    /// Why, in the administrator's words. It is kept with the movement.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 200)]
    reason: Option<String>,
}

impl AdjustProductStock {
    fn parse(&self, by: Administrator, product: ProductId) -> Result<Adjust, ApiError> {
        let mut fields = Fields::default();
        let variant = fields.variant(self.variant_id);
        let kind = self.parse_kind(&mut fields);
        let quantity = self.parse_quantity(kind, &mut fields);
        let reason = fields.text("reason", self.reason.as_deref());
        let reason: Option<StockReason> = fields.required("reason", self.reason.is_some(), reason);
        let adjust = (|| {
            let (kind, quantity, reason) = (kind?, quantity?, reason?);
            Some(Adjust { by, product, variant, kind, quantity, reason })
        })();
        fields.finish(adjust)
    }

    fn parse_kind(&self, fields: &mut Fields) -> Option<AdjustmentKind> {
        match self.kind.as_deref() {
            Some("RECEIVE") => Some(AdjustmentKind::Receive),
            Some("ADJUST") => Some(AdjustmentKind::Adjust),
            Some(_) => {
                fields.fault("kind", Reason::NotOneOf(&KINDS));
                None
            }
            None => fields.required("kind", false, None),
        }
    }

    fn parse_quantity(&self, kind: Option<AdjustmentKind>, fields: &mut Fields) -> Option<i64> {
        let least = match kind {
            Some(AdjustmentKind::Receive) => 1,
            Some(AdjustmentKind::Adjust) | None => -ManagedProduct::MOST_PIECES,
        };
        let quantity = fields.whole("quantity", self.quantity, least);
        if quantity == Some(0) {
            fields.fault("quantity", Reason::Zero);
        }
        fields.required("quantity", self.quantity != WholeInput::Missing, quantity)
    }
}

/// What there is since.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"productId": 101, "variantId": 8, "stock": 10, "productStock": 40}))]
pub(crate) struct StockBody {
    product_id: i64,
    /// The variant, of a product that has any.
    variant_id: Option<i64>,
    /// Pieces left: of the variant, or of the product as such.
    stock: i64,
    /// Pieces left of the product, those of all variants together.
    product_stock: i64,
}

/// Add pieces to the stock, or take them out
///
/// What suppliers bring, and what was counted anew, broken, lost or found; sales and returns move stock by themselves. It is
/// decided on the stock there is, in turn with the orders for it. The version of the product stays. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/products/{id}/stock",
    operation_id = "adjustStock",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        ("id" = i64, Path, description = "The product.", minimum = 1, example = 1),
    ),
    request_body = AdjustProductStock,
    responses(
        (status = 200, description = "What there is since.", body = StockBody),
        (status = 404, description = "`NOT_FOUND`: there is no such product, or it has no such variant."),
        (status = 409, description = "`OUT_OF_STOCK`: fewer pieces are left than are to be taken out. `CONFLICT`: there would be more pieces than can be kept, the product was deleted, or the key was used for another request."),
    ),
)]
pub(crate) async fn adjust(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    id: PathId,
    body: JsonBody<AdjustProductStock>,
) -> Result<HttpResponse, ApiError> {
    let command = body.0.parse(admin.0, ProductId(id.0))?;
    let product = command.product;
    let answer = shop.stock_adjustments.submit(Submission { command, key: key.0 }).await?;
    if answer.outcome.is_ok() {
        shop.catalogue_news.changed(product);
    }
    answered(AdjustStock::NAME, answer)
}

impl Answers for AdjustStock {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        let StockAfter { product_id, variant_id, stock: product_stock, variant_stock } = outcome?;
        let stock = variant_stock.unwrap_or(product_stock);
        Ok(ok(&StockBody { product_id, variant_id, stock, product_stock }))
    }
}
