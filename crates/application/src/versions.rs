//! Versions of things that administrators change, so that nobody undoes unseen what another one did.

/// Which versions a change may be made to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whatever there is.
    #[default]
    Any,
    /// One of these.
    OneOf(Vec<i32>),
}

/// Somebody else has changed it since it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is version {version} by now")]
pub struct Stale {
    /// The version there is.
    pub version: i32,
}

impl Expected {
    /// The versions, if they matter: what a fingerprint is made of.
    pub(crate) fn versions(&self) -> Option<&[i32]> {
        match self {
            Self::Any => None,
            Self::OneOf(versions) => Some(versions),
        }
    }

    /// Whether a change may be made to this version.
    ///
    /// # Errors
    /// [`Stale`] when it may not.
    pub fn check(&self, version: i32) -> Result<(), Stale> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(versions) if versions.contains(&version) => Ok(()),
            Self::OneOf(_) => Err(Stale { version }),
        }
    }
}
