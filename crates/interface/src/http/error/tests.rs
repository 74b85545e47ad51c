use std::sync::Arc;

use super::*;

fn answer(error: ApiError) -> HttpResponse {
    let at = DateTime::UNIX_EPOCH;
    error.answer(&Failure { path: "/", language: Language::English, trace_id: String::new(), at })
}

#[test]
fn what_may_be_tried_again_says_when() {
    let away = || RepositoryError::Backend("no connection".into());
    for error in [
        WriteError::Overloaded,
        WriteError::DeadlinePassed,
        WriteError::ShuttingDown,
        WriteError::Failed(Arc::new(RepositoryError::Transient("no connection".into()))),
        WriteError::Unknown(Arc::new(away())),
    ] {
        let response = answer(ApiError::from(error));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "1");
    }
    let read = ApiError::from(RepositoryError::Transient("no connection".into()));
    assert_eq!(answer(read).status(), StatusCode::SERVICE_UNAVAILABLE);
    for hopeless in [ApiError::from(away()), ApiError::from(WriteError::Failed(Arc::new(away())))] {
        assert_eq!(answer(hopeless).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
