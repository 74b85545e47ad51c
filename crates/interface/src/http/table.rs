//! Tables as text: CSV as RFC 4180 has it.

use actix_web::web::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use csv::{Terminator, Writer, WriterBuilder};
use jangteo_application::exports::{ExportedEntry, ExportedLine};

use super::orders::status_name;
use super::wallets::kind_name;

/// A row of a table.
pub(crate) trait Row: Send + Sync + 'static {
    /// The names of the columns.
    const HEAD: &'static [&'static str];

    /// A cell for each of the columns.
    fn cells(&self) -> Vec<String>;
}

pub(crate) fn head<R: Row>() -> Bytes {
    written(|csv| csv.write_record(R::HEAD))
}

pub(crate) fn rows<R: Row>(rows: &[R]) -> Bytes {
    written(|csv| rows.iter().try_for_each(|row| csv.write_record(row.cells())))
}

fn written(write: impl FnOnce(&mut Writer<Vec<u8>>) -> csv::Result<()>) -> Bytes {
    let mut csv = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    write(&mut csv).expect("rows of one table have as many cells");
    csv.into_inner().expect("memory takes everything").into()
}

/// A text that somebody wrote. Spreadsheets would take one that begins like this for a formula, which may do anything: an
/// apostrophe tells them not to.
fn text(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Nothing is an empty cell.
fn optional<T>(value: Option<T>, cell: impl FnOnce(T) -> String) -> String {
    value.map(cell).unwrap_or_default()
}

impl Row for ExportedLine {
    const HEAD: &'static [&'static str] = &[
        "orderId",
        "userId",
        "status",
        "createdAt",
        "paidAt",
        "productId",
        "variantId",
        "name",
        "variantName",
        "unitPrice",
        "qty",
        "subtotal",
        "totalAmount",
        "discountAmount",
        "paidAmount",
        "couponCode",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.order.to_string(),
            self.user.to_string(),
            status_name(self.status).to_owned(),
            moment(self.placed_at),
            optional(self.paid_at, moment),
            self.product.to_string(),
            optional(self.variant, |variant| variant.to_string()),
            text(&self.name),
            optional(self.variant_name.as_deref(), text),
            self.unit_price.to_string(),
            self.quantity.to_string(),
            self.subtotal.to_string(),
            self.total.to_string(),
            self.discount.to_string(),
            self.paid.to_string(),
            optional(self.coupon.as_deref(), text),
        ]
    }
}

impl Row for ExportedEntry {
    const HEAD: &'static [&'static str] =
        &["id", "userId", "kind", "amount", "balanceAfter", "orderId", "reason", "createdAt"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.user.to_string(),
            kind_name(self.kind).to_owned(),
            self.amount.to_string(),
            self.balance_after.to_string(),
            optional(self.order, |order| order.to_string()),
            optional(self.reason.as_deref(), text),
            moment(self.at),
        ]
    }
}

#[cfg(test)]
mod tests {
    use jangteo_domain::order::OrderStatus;
    use jangteo_domain::wallet::LedgerKind;
    use jangteo_domain::{Money, OrderId, ProductId, UserId, VariantId};

    use super::*;

    fn line() -> ExportedLine {
        ExportedLine {
            order: OrderId(5551),
            user: UserId(1),
            status: OrderStatus::Paid,
            placed_at: DateTime::UNIX_EPOCH,
            paid_at: None,
            product: ProductId(101),
            name: "셔츠, \"파랑\"".to_owned(),
            variant: Some(VariantId(7)),
            variant_name: Some("L".to_owned()),
            unit_price: Money::from_minor(19_900_00),
            quantity: 2,
            subtotal: Money::from_minor(39_800_00),
            total: Money::from_minor(39_800_00),
            discount: Money::from_minor(5),
            paid: Money::from_minor(39_799_95),
            coupon: Some("-TENTH".to_owned()),
        }
    }

    #[test]
    fn a_line_is_a_row_with_exact_amounts() {
        assert_eq!(
            rows(&[line()]),
            "5551,1,PAID,1970-01-01T00:00:00Z,,101,7,\"셔츠, \"\"파랑\"\"\",L,19900.00,2,39800.00,39800.00,0.05,\
             39799.95,'-TENTH\r\n"
        );
        assert_eq!(line().cells().len(), ExportedLine::HEAD.len());
    }

    #[test]
    fn an_amount_may_be_negative_and_a_text_is_no_formula() {
        let entry = ExportedEntry {
            id: 3,
            user: UserId(1),
            kind: LedgerKind::Adjust,
            amount: Money::from_minor(-5_00),
            balance_after: Money::ZERO,
            order: None,
            reason: Some("=HYPERLINK(\"http://example.com\")".to_owned()),
            at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(
            rows(&[entry]),
            "3,1,ADJUST,-5.00,0.00,,\"'=HYPERLINK(\"\"http://example.com\"\")\",1970-01-01T00:00:00Z\r\n"
        );
        for begins in ["=", "+", "-", "@", "\t", "\r"] {
            assert_eq!(text(&format!("{begins}1")), format!("'{begins}1"));
        }
        assert_eq!(text("1=1"), "1=1");
    }
}
