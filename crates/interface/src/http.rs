//! The HTTP API: how requests are read and answers written. What is decided is decided elsewhere.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig, route};
use chrono::TimeDelta;
use jangteo_application::CouponClaims;
use jangteo_application::adjust_stock::AdjustStock;
use jangteo_application::adjust_wallets::AdjustWallets;
use jangteo_application::back_office_queries::BackOfficeQueries;
use jangteo_application::cache::{CatalogueNews, StockNews};
use jangteo_application::cancel_orders::CancelOrders;
use jangteo_application::change_carts::ChangeCarts;
use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::edit_products::EditProducts;
use jangteo_application::fulfil_orders::FulfilOrders;
use jangteo_application::manage_accounts::ManageAccounts;
use jangteo_application::manage_coupons::ManageCoupons;
use jangteo_application::manage_stores::ManageStores;
use jangteo_application::order_carts::OrderCarts;
use jangteo_application::pay_orders::PayOrders;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CatalogueQueries, CustomerQueries};
use jangteo_application::register_users::RegisterUsers;
use jangteo_application::{
    AccountQueries, Audit, Batcher, Clock, Exports, IdempotencyQueries, ManagedCatalogue, OrderBook,
    OutboxQueries, Redeliverer,
};

mod accounts;
mod admin_coupons;
mod admin_orders;
mod admin_stores;
mod admin_wallets;
mod answers;
mod audit;
mod body;
mod cart;
mod cart_order;
mod client_address;
mod completeness;
mod coupon_drafts;
mod coupon_history;
mod coupon_offers;
mod coupons;
mod docs;
mod downloads;
mod edit_products;
mod edit_variants;
mod endpoint;
mod error;
mod exact;
mod exports;
mod headers;
mod keys;
mod limits;
mod managed_products;
mod observe;
mod operations;
mod order_changes;
mod orders;
mod outbox;
mod pages;
mod parameters;
mod patch;
mod payments;
mod periods;
mod product_fields;
mod products;
mod recognition;
mod sales;
mod statistics;
mod stores;
mod table;
mod trace;
mod trail;
mod users;
mod versions;
mod wallets;

pub use docs::openapi;

pub(crate) use answers::{Answers, Replays};
pub(crate) use audit::AuditBody;
pub(crate) use downloads::Downloads;
pub(crate) use error::{CatalogueFault, OrderFault, Problem, Reason};
pub(crate) use headers::parse_id;
pub(crate) use limits::Limits;
pub(crate) use operations::Operations;
pub(crate) use recognition::Recognition;

use endpoint::Endpoint;
use error::ApiError;
use observe::Observe;

/// Everything that handlers use.
pub(crate) struct Shop {
    pub(crate) orders: Batcher<PlaceOrders>,
    pub(crate) payments: Batcher<PayOrders>,
    pub(crate) cancellations: Batcher<CancelOrders>,
    pub(crate) fulfilments: Batcher<FulfilOrders>,
    pub(crate) cart_changes: Batcher<ChangeCarts>,
    pub(crate) cart_orders: Batcher<OrderCarts>,
    pub(crate) charges: Batcher<ChargeWallets>,
    pub(crate) adjustments: Batcher<AdjustWallets>,
    pub(crate) claims: CouponClaims,
    pub(crate) registrations: Batcher<RegisterUsers>,
    pub(crate) accounts: Batcher<ManageAccounts>,
    pub(crate) product_edits: Batcher<EditProducts>,
    pub(crate) stock_adjustments: Batcher<AdjustStock>,
    pub(crate) coupon_changes: Batcher<ManageCoupons>,
    pub(crate) catalogue: Arc<dyn CatalogueQueries>,
    pub(crate) managed_catalogue: Arc<dyn ManagedCatalogue>,
    pub(crate) catalogue_news: Arc<dyn CatalogueNews>,
    pub(crate) stock_news: Arc<dyn StockNews>,
    pub(crate) customers: Arc<dyn CustomerQueries>,
    pub(crate) customer_accounts: Arc<dyn AccountQueries>,
    pub(crate) keys: Arc<dyn IdempotencyQueries>,
    pub(crate) replays: Replays,
    pub(crate) store_changes: Batcher<ManageStores>,
    pub(crate) back_office: Arc<dyn BackOfficeQueries>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) outbox: Arc<dyn OutboxQueries>,
    pub(crate) redeliverer: Redeliverer,
    pub(crate) recognition: Recognition,
    pub(crate) order_book: Arc<dyn OrderBook>,
    pub(crate) exports: Arc<dyn Exports>,
    pub(crate) downloads: Downloads,
    /// None when requests are not limited.
    pub(crate) limits: Option<Arc<Limits>>,
    /// How long orders that are paid later are held.
    pub(crate) order_hold: TimeDelta,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) operations: Arc<Operations>,
    /// The most bytes that a request body may have.
    pub(crate) longest_body: usize,
}

/// Every endpoint that the API document describes.
fn api() -> Vec<Endpoint> {
    [
        products::endpoints(),
        cart::endpoints(),
        cart_order::endpoints(),
        orders::endpoints(),
        order_changes::endpoints(),
        payments::endpoints(),
        wallets::endpoints(),
        coupon_offers::endpoints(),
        coupons::endpoints(),
        coupon_history::endpoints(),
        users::endpoints(),
        keys::endpoints(),
        statistics::endpoints(),
        accounts::endpoints(),
        stores::endpoints(),
        admin_stores::endpoints(),
        admin_coupons::endpoints(),
        trail::endpoints(),
        admin_orders::endpoints(),
        admin_wallets::endpoints(),
        sales::endpoints(),
        edit_products::endpoints(),
        edit_variants::endpoints(),
        audit::endpoints(),
        exports::endpoints(),
        // Before the outbox, where an id may stand in the place of their names.
        completeness::endpoints(),
        outbox::endpoints(),
        operations::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Routes requests to handlers.
pub(crate) fn configure(config: &mut ServiceConfig, shop: Arc<Shop>) {
    config.app_data(Data::from(Arc::clone(&shop.operations)));
    serve(config, api().into_iter().chain(docs::endpoints()), &shop.clock, shop.limits.as_ref());
    config.app_data(Data::from(shop));
}

/// As [`configure`], for a process that is no shop: health and metrics alone.
pub(crate) fn configure_operations(config: &mut ServiceConfig, operations: Arc<Operations>) {
    serve(config, operations::endpoints(), &operations.clock, None);
    config.app_data(Data::from(operations));
}

fn serve(
    config: &mut ServiceConfig,
    endpoints: impl IntoIterator<Item = Endpoint>,
    clock: &Arc<dyn Clock>,
    limits: Option<&Arc<Limits>>,
) {
    let nothing_here = || async { Err::<String, _>(ApiError::from(Problem::NoSuchPath)) };
    config.default_service(route().to(nothing_here).wrap(Observe::new("unmatched", clock, None)));
    for endpoint in endpoints {
        config.service(endpoint.into_service(clock, limits));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Authentication;

    #[test]
    fn the_document_describes_every_route_and_no_other() {
        let document = serde_json::to_value(openapi(Authentication::Header)).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<(String, String)> = api()
            .iter()
            .flat_map(|endpoint| {
                endpoint.methods().iter().map(|method| (endpoint.pattern().to_owned(), method.to_string()))
            })
            .filter(|(_, method)| method != "HEAD")
            .collect();
        assert_eq!(described, served);
    }
}
