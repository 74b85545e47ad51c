//! The trail of what administrators changed.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::back_office_queries::{ChangeFilter, ChangeView};
use jangteo_application::trail::Subject;
use jangteo_domain::UserId;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Reason};
use super::exact::Moment;
use super::headers::{Admin, CallerHeaders, parse_id};
use super::pages::{PageBody, PageParameters};
use super::parameters::{FromQuery, Parameters, Query};

const SUBJECTS: [&str; 7] = ["user", "wallet", "store", "product", "coupon", "order", "event"];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/admin/changes").get(changes)]
}

/// What an administrator changed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": 42,
    "actorId": 900,
    "action": "change-store",
    "subject": "store",
    "subjectId": 7,
    "before": {
        "id": 7,
        "name": "봄날",
        "createdAt": "2025-11-09T12:34:56.000000Z",
        "updatedAt": "2025-11-09T12:34:56.000000Z",
        "deletedAt": null,
        "version": 1,
    },
    "after": {
        "id": 7,
        "name": "봄날 문구",
        "createdAt": "2025-11-09T12:34:56.000000Z",
        "updatedAt": "2025-11-10T09:00:00.000000Z",
        "deletedAt": null,
        "version": 2,
    },
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "createdAt": "2025-11-10T09:00:00Z",
}))]
pub(crate) struct ChangeBody {
    id: i64,
    /// The administrator.
    actor_id: i64,
    /// What was done.
    action: String,
    /// To what kind of thing: `user`, `wallet`, `store`, `product`, `coupon`, `order` or `event`.
    #[schema(value_type = String)]
    subject: &'static str,
    /// To which one; 0 when it was done to many.
    subject_id: i64,
    /// As it was; null when it is new.
    #[schema(value_type = Option<Object>)]
    before: Option<Box<RawValue>>,
    /// As it is since; null when it is gone.
    #[schema(value_type = Option<Object>)]
    after: Option<Box<RawValue>>,
    /// The W3C trace id of the request.
    trace_id: String,
    created_at: Moment,
}

impl From<ChangeView> for ChangeBody {
    fn from(change: ChangeView) -> Self {
        Self {
            id: change.id,
            actor_id: change.actor.0,
            action: change.action,
            subject: change.subject.name(),
            subject_id: change.subject_id,
            before: change.before.map(as_json),
            after: change.after.map(as_json),
            trace_id: change.trace_id,
            created_at: Moment(change.at),
        }
    }
}

/// A text, should it be no JSON.
fn as_json(text: String) -> Box<RawValue> {
    let as_text = || serde_json::value::to_raw_value(&text).expect("a text is JSON");
    serde_json::from_str(&text).unwrap_or_else(|_| as_text())
}

/// Which changes to list; all of them unless something is asked for.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangeParameters {
    /// Those of a kind of thing: `user`, `wallet`, `store`, `product`, `coupon`, `order` or `event`.
    #[param(value_type = Option<String>, nullable = false, example = "store")]
    subject: Option<Subject>,
    /// Those of one thing of that kind.
    #[param(nullable = false, minimum = 1, example = 7)]
    id: Option<i64>,
    /// Those of one administrator.
    #[param(nullable = false, minimum = 1, example = 900)]
    actor: Option<i64>,
}

impl FromQuery for ChangeParameters {
    fn take_from(query: &mut Query) -> Self {
        let subject = query.text("subject");
        let known = subject.as_deref().and_then(Subject::named);
        let mut id = |name| {
            let text = query.text(name)?;
            let id = parse_id(&text);
            if id.is_none() {
                query.fault(name, Reason::NotAnId);
            }
            id
        };
        let (id, actor) = (id("id"), id("actor"));
        match &subject {
            Some(_) if known.is_none() => query.fault("subject", Reason::NotOneOf(&SUBJECTS)),
            // Ids of different kinds have nothing to do with each other.
            None if id.is_some() => query.fault("subject", Reason::Required),
            Some(_) | None => {}
        }
        Self { subject: known, id, actor }
    }
}

impl ChangeParameters {
    fn filter(&self) -> ChangeFilter {
        ChangeFilter { subject: self.subject, subject_id: self.id, actor: self.actor.map(UserId) }
    }
}

/// What the list of changes is asked with.
pub(crate) struct ListParameters {
    which: ChangeParameters,
    page: PageParameters,
}

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { which: ChangeParameters::take_from(query), page: PageParameters::take_from(query) }
    }
}

/// What administrators changed
///
/// The latest first: who did what to which thing, and what it was like before and after. It was written down in the
/// transaction that changed it, so nothing is missing here and nothing is here that did not happen. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/changes",
    operation_id = "listChanges",
    tag = "Administration",
    params(CallerHeaders, ChangeParameters, PageParameters),
    responses(
        (
            status = 200,
            description = "A page of changes.",
            body = PageBody<ChangeBody>,
            example = json!({
                "content": [{
                    "id": 42,
                    "actorId": 900,
                    "action": "create-store",
                    "subject": "store",
                    "subjectId": 7,
                    "before": null,
                    "after": {
                        "id": 7,
                        "name": "봄날 문구",
                        "createdAt": "2025-11-09T12:34:56.000000Z",
                        "updatedAt": "2025-11-09T12:34:56.000000Z",
                        "deletedAt": null,
                        "version": 1,
                    },
                    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                    "createdAt": "2025-11-09T12:34:56Z",
                }],
                "page": 0,
                "size": 20,
                "totalElements": 1,
                "totalPages": 1,
            }),
        ),
    ),
)]
pub(crate) async fn changes(
    shop: Data<Shop>,
    _: Admin,
    parameters: Parameters<ListParameters>,
) -> Result<HttpResponse, ApiError> {
    let ListParameters { which, page } = parameters.0;
    let changes = shop.back_office.changes(which.filter(), page.request()).await?;
    Ok(ok(&PageBody::of(changes, ChangeBody::from)))
}

#[cfg(test)]
mod tests {
    use super::super::error::Detail;
    use super::super::parameters::read;
    use super::*;

    #[test]
    fn changes_are_asked_for_by_subject_and_actor() {
        assert_eq!(SUBJECTS, Subject::ALL.map(Subject::name));
        let which = read::<ChangeParameters>("subject=store&id=7&actor=900").unwrap();
        assert_eq!(which, ChangeParameters { subject: Some(Subject::Store), id: Some(7), actor: Some(900) });
        assert_eq!(read::<ChangeParameters>("").unwrap().filter(), ChangeFilter::default());
        let faults = read::<ChangeParameters>("subject=shop&id=0&actor=x").unwrap_err();
        let not_an_id = |field: &'static str| Detail::new(field, Reason::NotAnId);
        let unknown = Detail::new("subject", Reason::NotOneOf(&SUBJECTS));
        assert_eq!(faults, [not_an_id("id"), not_an_id("actor"), unknown]);
        let missing = Detail::new("subject", Reason::Required);
        assert_eq!(read::<ChangeParameters>("id=7"), Err(vec![missing]));
    }
}
