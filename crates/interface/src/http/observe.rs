//! What happens around every handler: tracing, measuring, limiting, and the one place where failures become answers.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use jangteo_application::Clock;
use metrics::{Histogram, histogram};

use super::error::{ApiError, Failure, Problem};
use super::limits::{Limits, Standing};
use super::trace::Trace;
use crate::messages::Language;

/// Wraps the handlers of one path.
pub(crate) struct Observe(Rc<Surroundings>);

struct Surroundings {
    /// The path's pattern, which names it in metrics: paths themselves are too many.
    pattern: &'static str,
    clock: Arc<dyn Clock>,
    /// None where requests are not limited.
    limits: Option<Arc<Limits>>,
    /// A worker's own, by method and status: looking one up in the registry costs more than recording.
    durations: RefCell<Vec<(Method, StatusCode, Histogram)>>,
}

impl Observe {
    pub(crate) fn new(pattern: &'static str, clock: &Arc<dyn Clock>, limits: Option<&Arc<Limits>>) -> Self {
        let (clock, limits) = (Arc::clone(clock), limits.cloned());
        Self(Rc::new(Surroundings { pattern, clock, limits, durations: RefCell::default() }))
    }
}

impl<S> Transform<S, ServiceRequest> for Observe
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = actix_web::Error> + 'static,
{
    type Response = ServiceResponse;
    type Error = actix_web::Error;
    type Transform = Observed<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(Observed { inner: Rc::new(inner), context: Rc::clone(&self.0) }))
    }
}

pub(crate) struct Observed<S> {
    inner: Rc<S>,
    context: Rc<Surroundings>,
}

impl<S> Service<ServiceRequest> for Observed<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = actix_web::Error> + 'static,
{
    type Response = ServiceResponse;
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, actix_web::Error>>;

    fn poll_ready(&self, task: &mut Context<'_>) -> Poll<Result<(), actix_web::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (context, inner) = (Rc::clone(&self.context), Rc::clone(&self.inner));
        let started = Instant::now();
        let trace = Trace::of(request.headers());
        request.extensions_mut().insert(trace);
        let exchange = request.request().clone();
        async move {
            let standing = match &context.limits {
                Some(limits) => Some(limits.count(context.pattern, &exchange).await),
                None => None,
            };
            let mut response = match standing.as_ref().and_then(Standing::refusal) {
                Some(problem) => context.explain(&exchange, &problem.into(), &trace),
                None => {
                    let answering = AssertUnwindSafe(async { inner.call(request).await }).catch_unwind();
                    context.answer(&exchange, answering.await, &trace)
                }
            };
            let headers = response.headers_mut();
            if let Some(standing) = standing {
                standing.tell(headers);
            }
            headers.insert(header::HeaderName::from_static("traceparent"), trace.header());
            context.record(&exchange, response.status(), started, &trace);
            Ok(ServiceResponse::new(exchange, response))
        }
        .boxed_local()
    }
}

/// A failure of the framework's own.
fn translated(error: &actix_web::Error) -> ApiError {
    match error.as_response_error().status_code() {
        StatusCode::NOT_FOUND => Problem::NoSuchPath.into(),
        status if status.is_client_error() => Problem::Invalid.into(),
        _ => ApiError::from(Problem::Internal).because(error.to_string()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", message.unwrap_or_default())
}

/// What became of a call to a handler.
type Outcome = Result<Result<ServiceResponse, actix_web::Error>, Box<dyn Any + Send>>;

impl Surroundings {
    fn answer(&self, request: &HttpRequest, outcome: Outcome, trace: &Trace) -> HttpResponse<BoxBody> {
        match outcome {
            Ok(Ok(response)) => match response.response().error() {
                Some(error) => match error.as_error::<ApiError>() {
                    Some(error) => self.explain(request, error, trace),
                    None => self.explain(request, &translated(error), trace),
                },
                None => response.into_parts().1,
            },
            Ok(Err(error)) => self.explain(request, &translated(&error), trace),
            Err(panic) => {
                let error = ApiError::from(Problem::Internal).because(panic_message(panic.as_ref()));
                self.explain(request, &error, trace)
            }
        }
    }

    fn explain(&self, request: &HttpRequest, error: &ApiError, trace: &Trace) -> HttpResponse<BoxBody> {
        let failure = Failure {
            path: request.path(),
            language: Language::preferred(request.headers()),
            trace_id: trace.id(),
            at: self.clock.now(),
        };
        error.log(&failure);
        error.answer(&failure)
    }

    fn record(&self, request: &HttpRequest, status: StatusCode, started: Instant, trace: &Trace) {
        let took = started.elapsed();
        self.duration(request.method(), status).record(took.as_secs_f64());
        tracing::debug!(
            trace_id = %trace.id(),
            method = %request.method(),
            path = request.path(),
            status = status.as_u16(),
            took = ?took,
            "answered"
        );
    }

    fn duration(&self, method: &Method, status: StatusCode) -> Histogram {
        let mut durations = self.durations.borrow_mut();
        let known = durations.iter().find(|known| known.0 == method && known.1 == status);
        if let Some((_, _, duration)) = known {
            return duration.clone();
        }
        let duration = histogram!(
            "jangteo_http_request_seconds",
            "method" => known_method(method),
            "route" => self.pattern,
            "status" => status.as_str().to_owned()
        );
        // A client may invent methods without end.
        if durations.len() < 100 {
            durations.push((method.clone(), status, duration.clone()));
        }
        duration
    }
}

fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test, web};
    use jangteo_application::SystemClock;

    use super::*;

    #[actix_web::test]
    async fn a_handler_that_panics_is_answered_for() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let observe = || Observe::new("/", &clock, None);
        async fn broken() -> HttpResponse {
            panic!("on purpose")
        }
        let app = App::new().service(web::resource("/").route(web::get().to(broken)).wrap(observe()));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, test::TestRequest::get().uri("/").to_request()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key("traceparent"));
        let body: serde_json::Value = test::read_body_json(response).await;
        assert_eq!((&body["error"], &body["path"]), (&"INTERNAL_ERROR".into(), &"/".into()));
        assert!(!body.to_string().contains("purpose"), "what happened is for the log");
    }
}
