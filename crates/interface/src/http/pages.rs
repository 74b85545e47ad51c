//! Lists, a page at a time.

use jangteo_application::queries::{Page, PageRequest};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::parameters::{FromQuery, Query};

/// The last page that can be asked for, so that its place can be counted on every database.
pub(crate) const LAST_PAGE: u32 = 1_000_000;

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// From 0.
    #[param(required = false, default = 0, minimum = 0, maximum = 1_000_000)]
    pub(crate) page: u32,
    /// Entries on a page.
    #[param(required = false, default = 20, minimum = 1, maximum = 100)]
    pub(crate) size: u32,
}

impl PageParameters {
    pub(crate) fn request(self) -> PageRequest {
        PageRequest { page: self.page, size: self.size }
    }
}

impl FromQuery for PageParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { page: query.number("page", 0..=LAST_PAGE, 0), size: query.number("size", 1..=100, 20) }
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageBody<T> {
    content: Vec<T>,
    /// From 0.
    page: u32,
    /// Entries on a page.
    size: u32,
    /// Entries on all pages.
    total_elements: u64,
    total_pages: u64,
}

impl<T> PageBody<T> {
    pub(crate) fn of<E>(page: Page<E>, entry: impl FnMut(E) -> T) -> Self {
        Self {
            page: page.request.page,
            size: page.request.size,
            total_elements: page.total,
            total_pages: page.total.div_ceil(u64::from(page.request.size.max(1))),
            content: page.content.into_iter().map(entry).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{Detail, Reason};
    use super::super::parameters::read;
    use super::*;

    #[test]
    fn a_page_has_20_entries_unless_asked_otherwise() {
        assert_eq!(read(""), Ok(PageParameters { page: 0, size: 20 }));
        assert_eq!(read("size=100&page=7"), Ok(PageParameters { page: 7, size: 100 }));
    }

    #[test]
    fn every_fault_is_named() {
        let faults = read::<PageParameters>("page=-1&size=101&page=2&limit=5").unwrap_err();
        let fault = |field: &'static str, reason| Detail::new(field, reason);
        assert_eq!(
            faults,
            [
                fault("page", Reason::Repeated),
                fault("page", Reason::OutOfRange { least: 0, most: 1_000_000 }),
                fault("size", Reason::OutOfRange { least: 1, most: 100 }),
                fault("limit", Reason::UnknownParameter),
            ]
        );
        for query in ["size=0", "size=", "size=+1", "size=1.0", "page=x", "page=99999999999"] {
            assert_eq!(read::<PageParameters>(query).unwrap_err().len(), 1, "{query}");
        }
    }
}
