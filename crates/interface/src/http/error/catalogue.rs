//! What does not fit the catalogue.

use super::{Available, ErrorCode, Figures};

/// Why something does not fit the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CatalogueFault {
    UnknownStore,
    UnknownVariant,
    /// The product was deleted.
    Deleted,
    /// The price of the product follows its variants.
    PricedByVariants,
    /// Each variant has its own.
    OfVariants,
    /// The product is sold as such.
    NoVariants,
    /// The product has pieces that belong to no variant.
    OwnStock {
        stock: i64,
    },
    /// Another variant of the product has the name.
    NameTaken,
    TooManyVariants,
    /// More pieces than can be kept.
    TooManyPieces {
        room: i64,
    },
    /// Fewer pieces are left than are to be taken out.
    Short {
        requested: i64,
        available: i64,
    },
}

impl CatalogueFault {
    pub(super) fn code(self) -> ErrorCode {
        match self {
            Self::UnknownStore | Self::UnknownVariant => ErrorCode::NotFound,
            Self::OfVariants | Self::NoVariants => ErrorCode::ValidationError,
            Self::Deleted
            | Self::PricedByVariants
            | Self::OwnStock { .. }
            | Self::NameTaken
            | Self::TooManyVariants
            | Self::TooManyPieces { .. } => ErrorCode::Conflict,
            Self::Short { .. } => ErrorCode::OutOfStock,
        }
    }

    pub(super) fn figures(self) -> Figures {
        match self {
            Self::Short { requested, available } => Figures {
                requested: Some(requested),
                available: Some(Available::Pieces(available)),
                ..Figures::default()
            },
            Self::OwnStock { stock } => {
                Figures { available: Some(Available::Pieces(stock)), ..Figures::default() }
            }
            Self::UnknownStore
            | Self::UnknownVariant
            | Self::Deleted
            | Self::PricedByVariants
            | Self::OfVariants
            | Self::NoVariants
            | Self::NameTaken
            | Self::TooManyVariants
            | Self::TooManyPieces { .. } => Figures::default(),
        }
    }
}
