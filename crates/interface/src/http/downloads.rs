//! Answers that are written while they are read from the database: tables of any length, in the memory of a few portions.
//!
//! A task on the runtime of the database's connections reads a portion, hands it over, and goes on when the client has
//! taken it. An answer that breaks off ends without the last chunk that HTTP/1.1 wants: every client sees that it is
//! incomplete.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, Stream};
use jangteo_application::exports::{AT_ONCE, Export};
use jangteo_domain::RepositoryError;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::error::{ApiError, Problem};
use super::table::{Row, head, rows};

/// How long a client may take for a portion, and for all of them: so long the database keeps what it would clean up.
#[derive(Debug, Clone, Copy)]
struct Patience {
    portion: Duration,
    whole: Duration,
}

const PATIENCE: Patience = Patience { portion: Duration::from_secs(30), whole: Duration::from_secs(15 * 60) };

/// The downloads that are under way.
pub(crate) struct Downloads {
    places: Arc<Semaphore>,
    home: Handle,
    stop: watch::Sender<bool>,
}

/// A piece of an answer, or that it is complete.
enum Part {
    Rows(Bytes),
    End,
}

/// Why an answer is not complete.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the client went away")]
    ClientGone,
    #[error("the client took nothing for {0:?}")]
    Stalled(Duration),
    #[error("it took longer than {0:?}")]
    TooLong(Duration),
    #[error("the shop is closing")]
    Closing,
    #[error("reading failed")]
    Failed(#[from] RepositoryError),
}

/// What the server is told of an answer that broke off.
#[derive(Debug, thiserror::Error)]
#[error("the download broke off")]
struct BrokenOff;

impl Downloads {
    /// Has everything read on the current runtime.
    pub(crate) fn here() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE as usize));
        Self { places, home: Handle::current(), stop: watch::Sender::new(false) }
    }

    /// Breaks off those that are under way, and refuses others.
    pub(crate) fn stop(&self) {
        self.places.close();
        self.stop.send_replace(true);
    }

    /// A table as a file of this name, once there is a place for it and reading has begun.
    pub(crate) async fn answer<R: Row>(
        &self,
        (name, now): (&str, DateTime<Utc>),
        method: &Method,
        begin: impl Future<Output = Result<Box<dyn Export<R>>, RepositoryError>>,
    ) -> Result<HttpResponse, ApiError> {
        let mut response = HttpResponse::Ok();
        let file = format!("attachment; filename=\"{name}-{}.csv\"", now.format("%Y%m%dT%H%M%SZ"));
        response.insert_header((CONTENT_DISPOSITION, file));
        response.insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"));
        if method == Method::HEAD {
            return Ok(response.streaming(stream::empty::<Result<Bytes, BrokenOff>>()));
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Problem::TooManyExports)?;
        let export = begin.await?;
        let (client, parts) = mpsc::channel(1);
        self.home.spawn(write(export, client, place, self.stop.subscribe()));
        Ok(response.streaming(as_body(parts)))
    }
}

/// The channel ends after the last part, and also when its sender is gone.
fn as_body(parts: Receiver<Part>) -> impl Stream<Item = Result<Bytes, BrokenOff>> {
    stream::try_unfold(parts, |mut parts| async {
        match parts.recv().await {
            Some(Part::Rows(bytes)) => Ok(Some((bytes, parts))),
            Some(Part::End) => Ok(None),
            None => Err(BrokenOff),
        }
    })
}

async fn write<R: Row>(
    export: Box<dyn Export<R>>,
    client: Sender<Part>,
    _place: OwnedSemaphorePermit,
    mut stop: watch::Receiver<bool>,
) {
    let written = tokio::select! {
        written = write_in_time(export, &client, PATIENCE) => written,
        _ = stop.wait_for(|stop| *stop) => Err(Broken::Closing),
    };
    match written {
        Ok(()) => {}
        Err(broken @ Broken::ClientGone) => tracing::debug!(reason = %broken, "an export broke off"),
        Err(broken @ (Broken::Stalled(_) | Broken::TooLong(_) | Broken::Closing)) => {
            tracing::warn!(reason = %broken, "an export broke off");
        }
        Err(Broken::Failed(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "an export broke off");
        }
    }
}

async fn write_in_time<R: Row>(
    export: Box<dyn Export<R>>,
    client: &Sender<Part>,
    patience: Patience,
) -> Result<(), Broken> {
    let written = timeout(patience.whole, write_all(export, client, patience.portion)).await;
    written.unwrap_or(Err(Broken::TooLong(patience.whole)))
}

async fn write_all<R: Row>(
    mut export: Box<dyn Export<R>>,
    client: &Sender<Part>,
    patience: Duration,
) -> Result<(), Broken> {
    hand_over(client, Part::Rows(head::<R>()), patience).await?;
    loop {
        let portion = export.next().await?;
        if portion.is_empty() {
            break;
        }
        hand_over(client, Part::Rows(rows(&portion)), patience).await?;
    }
    // What is left to send needs no database.
    drop(export);
    hand_over(client, Part::End, patience).await
}

async fn hand_over(client: &Sender<Part>, part: Part, patience: Duration) -> Result<(), Broken> {
    match timeout(patience, client.send(part)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Broken::ClientGone),
        Err(_) => Err(Broken::Stalled(patience)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures::{StreamExt, TryStreamExt};

    use super::*;

    /// A table of one column.
    struct Number(u32);

    impl Row for Number {
        const HEAD: &'static [&'static str] = &["number"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_string()]
        }
    }

    /// Gives out this many portions, and fails then if it is to.
    struct Numbers {
        portions: u32,
        fails: bool,
        given: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl Export<Number> for Numbers {
        async fn next(&mut self) -> Result<Vec<Number>, RepositoryError> {
            self.given.fetch_add(1, Ordering::SeqCst);
            match self.portions.checked_sub(1) {
                Some(left) => {
                    self.portions = left;
                    Ok(vec![Number(left)])
                }
                None if self.fails => Err(RepositoryError::Backend("gone".into())),
                None => Ok(Vec::new()),
            }
        }
    }

    const SHORT: Patience =
        Patience { portion: Duration::from_millis(50), whole: Duration::from_millis(500) };

    fn numbers(portions: u32, fails: bool) -> (Box<Numbers>, Arc<AtomicUsize>) {
        let given = Arc::default();
        (Box::new(Numbers { portions, fails, given: Arc::clone(&given) }), given)
    }

    /// What the client gets, and what became of the writing.
    async fn download(portions: u32, fails: bool) -> (Result<String, BrokenOff>, Result<(), Broken>) {
        let (client, parts) = mpsc::channel(1);
        let export = numbers(portions, fails).0;
        let writing = async move { write_in_time(export, &client, SHORT).await };
        let reading = as_body(parts)
            .try_fold(String::new(), async |text, bytes| Ok(text + str::from_utf8(&bytes).expect("UTF-8")));
        let (written, read) = futures::future::join(writing, reading).await;
        (read, written)
    }

    #[tokio::test]
    async fn a_table_has_its_head_and_all_rows() {
        let (read, written) = download(3, false).await;
        assert_eq!(read.unwrap(), "number\r\n2\r\n1\r\n0\r\n");
        assert!(written.is_ok());
        assert_eq!(download(0, false).await.0.unwrap(), "number\r\n");
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_breaks_the_answer_off() {
        let (read, written) = download(3, true).await;
        assert!(read.is_err());
        assert!(matches!(written, Err(Broken::Failed(_))), "{written:?}");
    }

    #[tokio::test]
    async fn who_takes_nothing_is_not_read_for_any_more() {
        let (client, parts) = mpsc::channel(1);
        let (export, given) = numbers(1_000_000, false);
        let written = write_in_time(export, &client, SHORT).await;
        assert!(matches!(written, Err(Broken::Stalled(_))), "{written:?}");
        assert_eq!(given.load(Ordering::SeqCst), 1);
        drop(client);
        let read: Vec<_> = as_body(parts).collect().await;
        assert_eq!(read.len(), 2);
        assert!(read[0].is_ok() && read[1].is_err(), "the head, and no more");
    }

    #[tokio::test]
    async fn who_takes_too_long_or_goes_away_is_not_read_for_any_more() {
        let (client, mut parts) = mpsc::channel(1);
        let slowly = async {
            while parts.recv().await.is_some() {
                tokio::time::sleep(SHORT.portion / 2).await;
            }
        };
        let writing = async move { write_in_time(numbers(1_000_000, false).0, &client, SHORT).await };
        let (written, ()) = futures::future::join(writing, slowly).await;
        assert!(matches!(written, Err(Broken::TooLong(_))), "{written:?}");

        let (client, parts) = mpsc::channel(1);
        drop(parts);
        let written = write_in_time(numbers(1_000_000, false).0, &client, SHORT).await;
        assert!(matches!(written, Err(Broken::ClientGone)), "{written:?}");
    }
}
