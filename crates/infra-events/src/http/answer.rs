//! What the platform's answer says about events.

use std::error::Error;
use std::time::Duration;

use jangteo_application::event_sink::PublishError;
use reqwest::{Response, StatusCode};

/// What is kept of an answer, in characters, and what is read of it, in bytes: all of it, if possible, as the connection
/// can be used again then.
const SHOWN: usize = 200;
const READ: usize = 64 * 1024;

/// 2xx is yes. Some are the platform's word about these events. All others, such as that the way or the credentials are
/// wrong, are about something else, and may be otherwise next time.
pub(super) async fn verdict(response: Response) -> Result<(), PublishError> {
    let status = response.status();
    let body = read(response).await;
    if status.is_success() {
        return Ok(());
    }
    let answer = match shown(&body) {
        nothing if nothing.is_empty() => status.to_string(),
        text => format!("{status}: {text}"),
    };
    match ABOUT_EVENTS.contains(&status) {
        true => Err(PublishError::Refused(answer)),
        false => Err(PublishError::Failed(answer)),
    }
}

const ABOUT_EVENTS: [StatusCode; 6] = [
    StatusCode::BAD_REQUEST,
    StatusCode::CONFLICT,
    StatusCode::GONE,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];

/// The status has said it all: a body that breaks off changes nothing.
async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > READ {
            break;
        }
    }
    body
}

/// On one line, whatever it is.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let printable = text.trim().chars().map(|char| if char.is_control() { ' ' } else { char });
    printable.take(SHOWN).collect()
}

/// There was no answer.
pub(super) fn missing(error: reqwest::Error, timeout: Duration) -> PublishError {
    // The address may hold a password.
    let error = error.without_url();
    if error.is_builder() {
        return PublishError::Refused(innermost(&error));
    }
    PublishError::Failed(match (error.is_timeout(), error.is_connect()) {
        (true, _) => format!("no answer within {} ms", timeout.as_millis()),
        (_, true) => format!("no connection: {}", innermost(&error)),
        _ => format!("no answer: {}", innermost(&error)),
    })
}

/// The cause of causes: those around it only tell that something was tried.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
