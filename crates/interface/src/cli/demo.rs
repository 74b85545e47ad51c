//! A shop to look around in.

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_application::Clock;
use jangteo_application::seeding::{SeedCoupon, SeedPlan, SeedProduct};
use jangteo_domain::coupon::Discount;
use jangteo_domain::user::Profile;
use jangteo_domain::{CouponCode, Money};
use rust_decimal::Decimal;

const PRODUCTS: [(&str, &str, i64, i64); 12] = [
    ("유기농 면 티셔츠", "Organic cotton T-shirt", 19_900, 120),
    ("린넨 셔츠", "Linen shirt", 39_000, 60),
    ("데님 팬츠", "Denim trousers", 49_900, 45),
    ("캔버스 에코백", "Canvas tote bag", 12_000, 200),
    ("가죽 카드지갑", "Leather card holder", 24_500, 80),
    ("무선 이어폰", "Wireless earphones", 89_000, 30),
    ("스테인리스 텀블러", "Stainless steel tumbler", 17_500, 150),
    ("핸드드립 커피 세트", "Pour-over coffee set", 34_900, 40),
    ("제주 감귤 3kg", "Jeju mandarins, 3 kg", 15_900, 100),
    ("전통 약과 선물세트", "Yakgwa honey cookies, gift box", 22_000, 70),
    ("한정판 운동화", "Limited edition sneakers", 129_000, 5),
    ("수제 비누", "Handmade soap", 6_500, 300),
];

const CUSTOMERS: [(&str, &str, i64); 5] = [
    ("김미나", "mina@example.com", 100_000),
    ("이준호", "junho@example.com", 50_000),
    ("박서연", "seoyeon@example.com", 50_000),
    ("최민준", "minjun@example.com", 50_000),
    ("정하은", "haeun@example.com", 50_000),
];

pub(super) fn plan(clock: &dyn Clock) -> SeedPlan {
    let now = clock.now();
    SeedPlan {
        users: CUSTOMERS.into_iter().map(|(name, email, won)| (profile(name, email), whole(won))).collect(),
        products: PRODUCTS
            .into_iter()
            .map(|(name, description, won, stock)| SeedProduct {
                name: name.to_owned(),
                description: description.to_owned(),
                price: whole(won),
                stock,
            })
            .collect(),
        coupons: vec![
            coupon(code("WELCOME10"), Discount::Percent(Decimal::TEN), 1000, now),
            SeedCoupon {
                min_order_amount: whole(20_000),
                ..coupon(code("FLASH5000"), Discount::Fixed(whole(5_000)), 100, now)
            },
        ],
        orders: None,
    }
}

fn profile(name: &str, email: &str) -> Profile {
    Profile {
        name: name.parse().expect("a name"),
        email: email.parse().expect("an e-mail address"),
        phone: None,
    }
}

fn whole(units: i64) -> Money {
    Money::from_minor(units * 100)
}

fn code(text: &str) -> CouponCode {
    text.parse().expect("a coupon code")
}

/// A coupon for any order, that can be claimed for a year from now and used forever.
pub(super) fn coupon(
    code: CouponCode,
    discount: Discount,
    total_quantity: i64,
    now: DateTime<Utc>,
) -> SeedCoupon {
    SeedCoupon {
        name: code.to_string(),
        code,
        discount,
        min_order_amount: Money::ZERO,
        max_discount: None,
        claim_starts_at: now - TimeDelta::days(1),
        claim_ends_at: now + TimeDelta::days(365),
        valid_until: None,
        valid_days: None,
        total_quantity,
    }
}

#[cfg(test)]
mod tests {
    use jangteo_application::SystemClock;

    use super::*;

    #[test]
    fn the_demo_shop_can_be_set_up() {
        let plan = plan(&SystemClock);
        assert_eq!((plan.users.len(), plan.products.len(), plan.coupons.len()), (5, 12, 2));
    }
}
