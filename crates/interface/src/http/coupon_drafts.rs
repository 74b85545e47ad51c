//! The terms of coupons as administrators write them.

use chrono::{DateTime, Utc};
use jangteo_domain::Money;
use jangteo_domain::coupon::{CouponDraft, CouponName, DiscountKind, Term, TermFault};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::{ApiError, Detail, Reason};
use super::exact::{AmountInput, MoneyJson, WholeInput};
use super::patch::Field;
use super::periods::parse_moment;

const KINDS: [&str; 2] = ["FIXED", "PERCENT"];

/// A coupon to be put on offer.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "code": "FLASH5000",
    "name": "블랙 프라이데이",
    "type": "FIXED",
    "value": 5000.00,
    "minOrderAmount": 20000.00,
    "claimStartsAt": "2025-11-09T00:00:00Z",
    "claimEndsAt": "2025-11-10T00:00:00Z",
    "validDays": 30,
    "totalQuantity": 1000,
}))]
pub(crate) struct CreateCoupon {
    /// The name under which it is claimed and redeemed: letters, digits, hyphens and underscores, in any case.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 64)]
    code: Field<String>,
    /// Its title.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100)]
    name: Field<String>,
    /// `FIXED` or `PERCENT`.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    r#type: Field<String>,
    /// An amount, or a percentage of the total up to 100.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = true)]
    value: Field<AmountInput>,
    /// The least total of an order that it can be used on; 0 unless it is given.
    #[serde(default)]
    #[schema(value_type = Option<MoneyJson>)]
    min_order_amount: Field<AmountInput>,
    /// The most it takes off; without a limit unless it is given.
    #[serde(default)]
    #[schema(value_type = Option<MoneyJson>)]
    max_discount: Field<AmountInput>,
    /// From when it can be claimed.
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = true)]
    claim_starts_at: Field<String>,
    /// Until when it can be claimed; the moment itself is too late.
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = true)]
    claim_ends_at: Field<String>,
    /// Until when a claimed one can be used.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Field<String>,
    /// For how many days after the claim it can be used, if not until an earlier end.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36500)]
    valid_days: Field<WholeInput>,
    /// How many are issued at most.
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = 1)]
    total_quantity: Field<WholeInput>,
}

/// What changes of a coupon; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"totalQuantity": 2000, "claimEndsAt": "2025-11-11T00:00:00Z", "maxDiscount": null}))]
pub(crate) struct ChangeCoupon {
    /// Only while none was issued.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 64)]
    code: Field<String>,
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    name: Field<String>,
    /// `FIXED` or `PERCENT`. Only while none was issued.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    r#type: Field<String>,
    /// Only while none was issued.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = false)]
    value: Field<AmountInput>,
    /// It counts for the next order, of those too who hold the coupon already.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = false)]
    min_order_amount: Field<AmountInput>,
    /// As the minimum. Null: without a limit.
    #[serde(default)]
    #[schema(value_type = Option<MoneyJson>)]
    max_discount: Field<AmountInput>,
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = false)]
    claim_starts_at: Field<String>,
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = false)]
    claim_ends_at: Field<String>,
    /// Of coupons that are issued from then on. Null: none.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Field<String>,
    /// Of coupons that are issued from then on. Null: none.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36500)]
    valid_days: Field<WholeInput>,
    /// Not less than were issued.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 1)]
    total_quantity: Field<WholeInput>,
}

impl CreateCoupon {
    /// Everything that is wrong is named at once.
    pub(crate) fn parse(self) -> Result<CouponDraft, ApiError> {
        let mut form = Form { faults: Vec::new(), complete: true };
        let draft = CouponDraft {
            code: form.code(self.code),
            name: form.name(self.name),
            kind: form.kind(self.r#type),
            value: form.amount("value", self.value),
            min_order_amount: match self.min_order_amount {
                Field::Absent => Some(Money::ZERO),
                given => form.amount("minOrderAmount", given),
            },
            max_discount: form.amount_or_none("maxDiscount", self.max_discount),
            claim_starts_at: form.moment("claimStartsAt", self.claim_starts_at),
            claim_ends_at: form.moment("claimEndsAt", self.claim_ends_at),
            valid_until: form.moment_or_none("validUntil", self.valid_until),
            valid_days: form.days_or_none(self.valid_days),
            total_quantity: form.quantity(self.total_quantity),
        };
        form.finish(draft)
    }
}

impl ChangeCoupon {
    /// Everything that is wrong by itself is named at once; what does not go together with the coupon shows later.
    pub(crate) fn parse(self) -> Result<CouponDraft, ApiError> {
        let mut form = Form { faults: Vec::new(), complete: false };
        let draft = CouponDraft {
            code: form.code(self.code),
            name: form.name(self.name),
            kind: form.kind(self.r#type),
            value: form.amount("value", self.value),
            min_order_amount: form.amount("minOrderAmount", self.min_order_amount),
            max_discount: form.amount_or_none("maxDiscount", self.max_discount),
            claim_starts_at: form.moment("claimStartsAt", self.claim_starts_at),
            claim_ends_at: form.moment("claimEndsAt", self.claim_ends_at),
            valid_until: form.moment_or_none("validUntil", self.valid_until),
            valid_days: form.days_or_none(self.valid_days),
            total_quantity: form.quantity(self.total_quantity),
        };
        form.finish(draft)
    }
}

/// Terms that are being read.
struct Form {
    faults: Vec<Detail>,
    /// Whether what must be there must be named.
    complete: bool,
}

impl Form {
    fn finish(mut self, draft: CouponDraft) -> Result<CouponDraft, ApiError> {
        self.faults.extend(draft.faults().into_iter().map(Detail::from));
        match self.faults.is_empty() {
            true => Ok(draft),
            false => Err(ApiError::invalid(self.faults)),
        }
    }

    fn read<T, V>(
        &mut self,
        field: &'static str,
        value: Field<T>,
        read: impl FnOnce(T) -> Result<V, Reason>,
    ) -> Option<V> {
        let read = match value {
            Field::Given(value) => read(value),
            Field::Absent if !self.complete => return None,
            Field::Absent | Field::Null => Err(Reason::Required),
        };
        read.map_err(|reason| self.faults.push(Detail::new(field, reason))).ok()
    }

    /// The same of a term that may be none.
    fn read_or_none<T, V>(
        &mut self,
        field: &'static str,
        value: Field<T>,
        read: impl FnOnce(T) -> Result<V, Reason>,
    ) -> Option<Option<V>> {
        match value {
            Field::Absent => None,
            Field::Null => Some(None),
            given @ Field::Given(_) => self.read(field, given, read).map(Some),
        }
    }

    fn code<V: std::str::FromStr>(&mut self, code: Field<String>) -> Option<V> {
        self.read("code", code, |text| text.parse().map_err(|_| Reason::NotACouponCode))
    }

    fn name(&mut self, name: Field<String>) -> Option<CouponName> {
        let not_a_line = Reason::NotALine { longest: CouponName::LONGEST };
        self.read("name", name, |text| text.parse().map_err(|_| not_a_line))
    }

    fn kind(&mut self, kind: Field<String>) -> Option<DiscountKind> {
        self.read("type", kind, |text| match text.as_str() {
            "FIXED" => Ok(DiscountKind::Fixed),
            "PERCENT" => Ok(DiscountKind::Percent),
            _ => Err(Reason::NotOneOf(&KINDS)),
        })
    }

    fn amount(&mut self, field: &'static str, amount: Field<AmountInput>) -> Option<Money> {
        self.read(field, amount, read_amount)
    }

    fn amount_or_none(&mut self, field: &'static str, amount: Field<AmountInput>) -> Option<Option<Money>> {
        self.read_or_none(field, amount, read_amount)
    }

    fn moment(&mut self, field: &'static str, moment: Field<String>) -> Option<DateTime<Utc>> {
        self.read(field, moment, read_moment)
    }

    fn moment_or_none(
        &mut self,
        field: &'static str,
        moment: Field<String>,
    ) -> Option<Option<DateTime<Utc>>> {
        self.read_or_none(field, moment, read_moment)
    }

    fn days_or_none(&mut self, days: Field<WholeInput>) -> Option<Option<i64>> {
        let most = i64::from(CouponDraft::MAX_VALID_DAYS);
        self.read_or_none("validDays", days, |days| read_whole(days, most))
    }

    fn quantity(&mut self, quantity: Field<WholeInput>) -> Option<i64> {
        self.read("totalQuantity", quantity, |quantity| read_whole(quantity, CouponDraft::MAX_QUANTITY))
    }
}

fn read_amount(amount: AmountInput) -> Result<Money, Reason> {
    match amount {
        AmountInput::Amount(amount) => Ok(amount),
        AmountInput::Missing => Err(Reason::Required),
        AmountInput::NotAnAmount(error) => Err(Reason::Amount(error)),
    }
}

fn read_moment(text: String) -> Result<DateTime<Utc>, Reason> {
    parse_moment(&text).ok_or(Reason::NotAMoment)
}

/// Whether it is too small or too large is for the terms to say.
fn read_whole(number: WholeInput, most: i64) -> Result<i64, Reason> {
    match number {
        WholeInput::Whole(number) => Ok(number),
        WholeInput::Missing => Err(Reason::Required),
        WholeInput::Other => Err(Reason::OutOfRange { least: 1, most }),
    }
}

fn field(term: Term) -> &'static str {
    match term {
        Term::Value => "value",
        Term::MinOrderAmount => "minOrderAmount",
        Term::MaxDiscount => "maxDiscount",
        Term::ClaimStartsAt => "claimStartsAt",
        Term::ClaimEndsAt => "claimEndsAt",
        Term::ValidUntil => "validUntil",
        Term::ValidDays => "validDays",
        Term::TotalQuantity => "totalQuantity",
    }
}

impl From<TermFault> for Detail {
    fn from(fault: TermFault) -> Self {
        match fault {
            TermFault::NotPositive(term) => {
                Self::new(field(term), Reason::BelowMinimum { minimum: Money::from_minor(1) })
            }
            TermFault::Negative(term) => {
                Self::new(field(term), Reason::BelowMinimum { minimum: Money::ZERO })
            }
            TermFault::MoreThanAll => Self::new(field(Term::Value), Reason::NotAPercentage),
            TermFault::OutOfRange { term, most } => {
                Self::new(field(term), Reason::OutOfRange { least: 1, most })
            }
            TermFault::NotAfterStart(term) => {
                Self::new(field(term), Reason::NotAfter(field(Term::ClaimStartsAt)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let body: CreateCoupon = serde_json::from_str(text).unwrap();
        let details = body.parse().err().map(ApiError::into_details).unwrap_or_default();
        details.into_iter().map(|detail| detail.field.into_owned()).collect()
    }

    const COUPON: &str = r#"{"code":"a-1","name":"A","type":"PERCENT","value":"12.5","claimStartsAt":"2025-11-09T00:00:00Z",
        "claimEndsAt":"2025-11-10T00:00:00Z","totalQuantity":10}"#;

    #[test]
    fn a_coupon_needs_what_it_cannot_do_without() {
        assert_eq!(faults(COUPON), [""; 0]);
        let required = ["code", "name", "type", "value", "claimStartsAt", "claimEndsAt", "totalQuantity"];
        assert_eq!(faults("{}"), required);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = r#"{"code":"a b","name":"","type":"HALF","value":-1,"minOrderAmount":-1,"maxDiscount":0,
            "claimStartsAt":"2025-11-09T00:00:00Z","claimEndsAt":"2025-11-09T00:00:00Z","validUntil":"soon",
            "validDays":0,"totalQuantity":1.5}"#;
        let named = [
            "code",
            "name",
            "type",
            "validUntil",
            "totalQuantity",
            "value",
            "minOrderAmount",
            "maxDiscount",
            "claimEndsAt",
            "validDays",
        ];
        assert_eq!(faults(wrong), named);
        assert_eq!(faults(&COUPON.replace("12.5", "100.01")), ["value"]);
    }

    #[test]
    fn a_change_names_what_it_likes() {
        let read = |text: &str| serde_json::from_str::<ChangeCoupon>(text).unwrap().parse().unwrap();
        assert_eq!(read("{}"), CouponDraft::default());
        let expected =
            CouponDraft { valid_days: Some(None), total_quantity: Some(5), ..CouponDraft::default() };
        assert_eq!(read(r#"{"validDays":null,"totalQuantity":5}"#), expected);
        let named = serde_json::from_str::<ChangeCoupon>(r#"{"name":null}"#).unwrap().parse();
        assert_eq!(named.unwrap_err().into_details(), [Detail::new("name", Reason::Required)]);
    }
}
