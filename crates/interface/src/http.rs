//! The HTTP API: how requests are read and answers written. What is decided is decided elsewhere.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig, route};
use jangteo_application::CouponClaims;
use jangteo_application::cache::StockNews;
use jangteo_application::cancel_orders::CancelOrders;
use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::fulfil_orders::FulfilOrders;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CatalogueQueries, CustomerQueries, Readiness};
use jangteo_application::register_users::RegisterUsers;
use jangteo_application::{Audit, Batcher, Clock};
use metrics_exporter_prometheus::PrometheusHandle;

mod audit;
mod body;
mod client_address;
mod coupon_history;
mod coupon_offers;
mod coupons;
mod docs;
mod endpoint;
mod error;
mod exact;
mod headers;
mod limits;
mod observe;
mod operations;
mod order_changes;
mod orders;
mod pages;
mod parameters;
mod products;
mod statistics;
mod trace;
mod users;
mod wallets;

pub use docs::openapi;

pub(crate) use audit::AuditBody;
pub(crate) use error::{OrderFault, Problem, Reason};
pub(crate) use limits::Limits;

use endpoint::Endpoint;
use error::ApiError;
use observe::Observe;

/// Everything that handlers use.
pub(crate) struct Shop {
    pub(crate) orders: Batcher<PlaceOrders>,
    pub(crate) cancellations: Batcher<CancelOrders>,
    pub(crate) fulfilments: Batcher<FulfilOrders>,
    pub(crate) charges: Batcher<ChargeWallets>,
    pub(crate) claims: CouponClaims,
    pub(crate) registrations: Batcher<RegisterUsers>,
    pub(crate) catalogue: Arc<dyn CatalogueQueries>,
    pub(crate) stock_news: Arc<dyn StockNews>,
    pub(crate) customers: Arc<dyn CustomerQueries>,
    pub(crate) readiness: Arc<dyn Readiness>,
    pub(crate) audit: Arc<dyn Audit>,
    /// None when requests are not limited.
    pub(crate) limits: Option<Arc<Limits>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: PrometheusHandle,
    /// The most bytes that a request body may have.
    pub(crate) longest_body: usize,
}

/// Every endpoint that the API document describes.
fn api() -> Vec<Endpoint> {
    [
        products::endpoints(),
        orders::endpoints(),
        order_changes::endpoints(),
        wallets::endpoints(),
        coupon_offers::endpoints(),
        coupons::endpoints(),
        coupon_history::endpoints(),
        users::endpoints(),
        statistics::endpoints(),
        audit::endpoints(),
        operations::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Routes requests to handlers.
pub(crate) fn configure(config: &mut ServiceConfig, shop: Arc<Shop>) {
    let nothing_here = || async { Err::<String, _>(ApiError::from(Problem::NoSuchPath)) };
    config.default_service(route().to(nothing_here).wrap(Observe::new("unmatched", &shop.clock, None)));
    for endpoint in api().into_iter().chain(docs::endpoints()) {
        config.service(endpoint.into_service(&shop.clock, shop.limits.as_ref()));
    }
    config.app_data(Data::from(shop));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_describes_every_route_and_no_other() {
        let document = serde_json::to_value(openapi()).unwrap();
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
