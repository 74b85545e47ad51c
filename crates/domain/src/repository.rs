//! What every repository has in common.

use std::error::Error;

/// Why a repository could not do its work. Absence is never an error: an absent row is `None` or omitted.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// A unique key or a guarded update refused the write: somebody else was first. Running the same
    /// work alone, on fresh data, tells who loses.
    #[error("the data changed in the meantime")]
    Conflict(#[source] Box<dyn Error + Send + Sync>),
    /// Nothing was written and the same work may well succeed at once: a deadlock, a lock that took too
    /// long, a connection lost before the commit.
    #[error("the database asks to try again")]
    Transient(#[source] Box<dyn Error + Send + Sync>),
    /// The database failed or is away. After a commit was sent, whether it happened is unknown.
    #[error("the database failed")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
}
