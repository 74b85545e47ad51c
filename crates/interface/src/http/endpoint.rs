//! A path and what can be done with it.

use std::sync::Arc;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Resource, Responder, web};
use jangteo_application::Clock;

use super::error::{ApiError, Problem};
use super::limits::Limits;
use super::observe::Observe;

/// A path with a handler for each method it knows.
pub(crate) struct Endpoint {
    pattern: &'static str,
    methods: Vec<Method>,
    resource: Resource,
}

impl Endpoint {
    pub(crate) fn at(pattern: &'static str) -> Self {
        Self { pattern, methods: Vec::new(), resource: web::resource(pattern) }
    }

    /// GET, and HEAD with the same answer but for its body.
    pub(crate) fn get<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::GET, handler.clone()).method(Method::HEAD, handler)
    }

    pub(crate) fn post<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::POST, handler)
    }

    pub(crate) fn put<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::PUT, handler)
    }

    pub(crate) fn patch<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::PATCH, handler)
    }

    pub(crate) fn delete<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.method(Method::DELETE, handler)
    }

    fn method<H, Args>(mut self, method: Method, handler: H) -> Self
    where
        H: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.methods.push(method.clone());
        self.resource = self.resource.route(web::method(method).to(handler));
        self
    }

    #[cfg(test)]
    pub(crate) fn pattern(&self) -> &'static str {
        self.pattern
    }

    #[cfg(test)]
    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Answers other methods with those that are allowed.
    pub(crate) fn into_service(
        self,
        clock: &Arc<dyn Clock>,
        limits: Option<&Arc<Limits>>,
    ) -> impl HttpServiceFactory + use<> {
        let allowed: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        let allowed = allowed.join(", ");
        let other_method = move || {
            let problem = Problem::MethodNotAllowed { allowed: allowed.clone() };
            async { Err::<String, _>(ApiError::from(problem)) }
        };
        let limits = limits.filter(|_| Limits::apply_to(self.pattern));
        let observe = Observe::new(self.pattern, clock, limits);
        self.resource.default_service(web::route().to(other_method)).wrap(observe)
    }
}
