//! Coupons on offer, and what happened to customers' coupons.

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CatalogueQueries, CouponChange, CustomerQueries, PageRequest};
use jangteo_application::seeding::{SeedCoupon, SeedPlan, Seeder};
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::coupon::{Discount, OfferStatus, UserCouponState};
use jangteo_domain::{Money, UserId};

use crate::support::{Shop, claim, code, money, order, request};

crate::on_both_databases! {
    coupons_on_offer_end_soonest_first_in_pages
    an_offer_is_over_at_the_moment_it_ends
    a_coupon_is_found_by_its_code_with_all_its_terms
    what_is_left_counts_down
    a_coupon_is_not_valid_for_more_days_than_there_are
    the_history_of_coupons_is_told_latest_first_in_pages
    what_was_not_used_in_time_is_expired_before_that_is_recorded
}

fn offer(text: &str, starts: DateTime<Utc>, ends: DateTime<Utc>) -> SeedCoupon {
    SeedCoupon {
        code: code(text),
        name: format!("The coupon {text}"),
        discount: Discount::Fixed(money("5")),
        min_order_amount: Money::ZERO,
        max_discount: None,
        claim_starts_at: starts,
        claim_ends_at: ends,
        valid_until: None,
        valid_days: None,
        total_quantity: 2,
    }
}

async fn put_on_offer(shop: &Shop, coupons: Vec<SeedCoupon>) {
    let plan = SeedPlan { coupons, ..SeedPlan::default() };
    shop.store.seed(&plan, &|_| {}).await.expect("seeds");
}

fn page(page: u32, size: u32) -> PageRequest {
    PageRequest { page, size }
}

async fn coupons_on_offer_end_soonest_first_in_pages(shop: Shop) {
    let now = SystemClock.now();
    let (day, moment) = (TimeDelta::days(1), TimeDelta::microseconds(1));
    let coupons = vec![
        offer("LONG", now - day, now + day * 3),
        offer("LATER", now + day, now + day * 2),
        offer("TIED", now - day, now + day * 2),
        offer("OVER", now - day, now - moment),
        offer("JUST-OVER", now - day, now),
        offer("SOON", now - day, now + day),
    ];
    put_on_offer(&shop, coupons).await;
    let offers = async |page| shop.store.coupon_offers(page).await.unwrap();
    let codes = async |request| {
        let offers = offers(request).await.content;
        offers.iter().map(|coupon| coupon.code.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(codes(page(0, 10)).await, ["SOON", "LATER", "TIED", "LONG"]);
    assert_eq!(codes(page(0, 3)).await, ["SOON", "LATER", "TIED"]);
    assert_eq!(codes(page(1, 3)).await, ["LONG"]);
    assert!(codes(page(2, 3)).await.is_empty());
    assert_eq!(offers(page(1, 3)).await.total, 4);
}

/// SQLite compares texts, and a driver may leave out the zeros at their end.
async fn an_offer_is_over_at_the_moment_it_ends(shop: Shop) {
    let whole_second = DateTime::from_timestamp_secs(4_000_000_000).unwrap();
    let (day, moment) = (TimeDelta::days(1), TimeDelta::microseconds(1));
    for (n, ends) in [whole_second, whole_second + TimeDelta::milliseconds(20)].into_iter().enumerate() {
        put_on_offer(&shop, vec![offer(&format!("OFFER-{n}"), ends - day, ends)]).await;
        for (now, offered) in [(ends - moment, true), (ends, false), (ends + moment, false)] {
            let offers = shop.instance_at(now).await.coupon_offers(page(0, 20)).await.unwrap().content;
            let is_offered = offers.iter().any(|coupon| coupon.claim_ends_at == ends);
            assert_eq!(is_offered, offered, "at {now}");
        }
    }
}

async fn a_coupon_is_found_by_its_code_with_all_its_terms(shop: Shop) {
    let now = SystemClock.now();
    let full = SeedCoupon {
        discount: Discount::Percent("12.5".parse().unwrap()),
        min_order_amount: money("20000"),
        max_discount: Some(money("10000.50")),
        valid_until: Some(now + TimeDelta::days(40)),
        valid_days: Some(SeedCoupon::MAX_VALID_DAYS),
        ..offer("FULL", now - TimeDelta::days(2), now - TimeDelta::days(1))
    };
    put_on_offer(&shop, vec![full.clone()]).await;
    let found = shop.store.coupon_offer(code("full")).await.unwrap().expect("it is there, and over");
    assert_eq!((&found.name, found.min_order_amount), (&full.name, full.min_order_amount));
    assert_eq!((found.discount, found.max_discount), (full.discount, full.max_discount));
    assert_eq!((found.valid_until, found.valid_days), (full.valid_until, full.valid_days));
    assert_eq!(found.claim_starts_at, full.claim_starts_at);
    assert_eq!(found.claim_ends_at, full.claim_ends_at);
    assert_eq!(found.offer_status(now), OfferStatus::Ended);
    assert!(shop.store.coupon_offer(code("FULLER")).await.unwrap().is_none());
}

async fn what_is_left_counts_down(shop: Shop) {
    let shop = shop.stocked(3, 1, 1, 2).await;
    let claims = shop.batcher(ClaimCoupons);
    for (user, left) in [(1, 1), (1, 1), (2, 0), (3, 0)] {
        // The second is a repetition, and the last too late.
        let _ = claim(&claims, user, "TENTH").await.unwrap();
        let offers = shop.store.coupon_offers(page(0, 20)).await.unwrap().content;
        assert_eq!((offers.len(), offers[0].remaining()), (1, left));
    }
    let tenth = shop.store.coupon_offer(code("TENTH")).await.unwrap().unwrap();
    assert_eq!(tenth.offer_status(SystemClock.now()), OfferStatus::SoldOut);
    shop.assert_audit_is_clean().await;
}

async fn a_coupon_is_not_valid_for_more_days_than_there_are(shop: Shop) {
    let now = SystemClock.now();
    for days in [0, SeedCoupon::MAX_VALID_DAYS + 1, u32::MAX] {
        let absurd = SeedCoupon { valid_days: Some(days), ..offer("ABSURD", now, now + TimeDelta::days(1)) };
        let coupons = vec![offer("GOOD", now, now + TimeDelta::days(1)), absurd];
        let plan = SeedPlan { coupons, ..SeedPlan::default() };
        let error = shop.store.seed(&plan, &|_| {}).await.unwrap_err();
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert_eq!(
            cause,
            format!("coupon ABSURD: it can be used for 1 to 36500 days after the claim, not for {days}")
        );
    }
    assert_eq!(shop.store.coupon_offers(page(0, 20)).await.unwrap().total, 0);
}

async fn the_history_of_coupons_is_told_latest_first_in_pages(shop: Shop) {
    let shop = shop.stocked(2, 1, 10, 5).await;
    let now = SystemClock.now();
    put_on_offer(&shop, vec![offer("FIVE", now, now + TimeDelta::days(1))]).await;
    let (orders, claims) = (shop.batcher(PlaceOrders), shop.batcher(ClaimCoupons));
    for (user, text) in [(1, "TENTH"), (2, "TENTH"), (1, "FIVE")] {
        assert!(claim(&claims, user, text).await.unwrap().outcome.is_ok());
    }
    let used = order(&orders, request(1, &[(1, 1)], Some("TENTH"))).await.unwrap().outcome.unwrap().order.id;
    let history = async |user, request| shop.store.coupon_history(UserId(user), request).await.unwrap();

    let all = history(1, page(0, 20)).await;
    let told: Vec<_> =
        all.content.iter().map(|line| (line.code.to_string(), line.change, line.order)).collect();
    let line = |text: &str, change, order| (text.to_owned(), change, order);
    assert_eq!(
        told,
        [
            line("TENTH", CouponChange::Used, Some(used)),
            line("FIVE", CouponChange::Issued, None),
            line("TENTH", CouponChange::Issued, None),
        ]
    );
    assert!(all.content.windows(2).all(|pair| pair[0].id > pair[1].id && pair[0].at >= pair[1].at));
    let second = history(1, page(1, 2)).await;
    assert_eq!((second.total, &second.content[..]), (3, &all.content[2..]));
    assert_eq!(history(2, page(0, 20)).await.total, 1);
    assert_eq!(history(77, page(0, 20)).await.total, 0);

    for action in ["RESTORED", "EXPIRED"] {
        shop.tamper(&format!(
            "INSERT INTO coupon_history (user_coupon_id, action, order_id, created_at) \
             SELECT user_coupon_id, '{action}', order_id, created_at FROM coupon_history WHERE action = 'USED'"
        ))
        .await;
    }
    let latest = history(1, page(0, 2)).await.content;
    let changes: Vec<_> = latest.iter().map(|line| line.change).collect();
    assert_eq!(changes, [CouponChange::Expired, CouponChange::Restored]);
}

async fn what_was_not_used_in_time_is_expired_before_that_is_recorded(shop: Shop) {
    let shop = shop.stocked(1, 1, 10, 5).await;
    let now = SystemClock.now();
    let ends = now + TimeDelta::days(1);
    put_on_offer(&shop, vec![offer("ENDLESS", now, ends), offer("USED", now, ends)]).await;
    let (orders, claims) = (shop.batcher(PlaceOrders), shop.batcher(ClaimCoupons));
    for text in ["TENTH", "ENDLESS", "USED"] {
        assert!(claim(&claims, 1, text).await.unwrap().outcome.is_ok());
    }
    assert!(order(&orders, request(1, &[(1, 1)], Some("USED"))).await.unwrap().outcome.is_ok());
    shop.tamper(
        "UPDATE user_coupons SET expires_at = claimed_at WHERE expires_at IS NOT NULL OR status = 'USED'",
    )
    .await;
    let held = shop.store.coupons(UserId(1)).await.unwrap();
    let [tenth, endless, used] = &held[..] else { panic!("{held:?}") };
    assert_eq!((tenth.state, endless.state), (UserCouponState::Expired, UserCouponState::Claimed));
    assert!(matches!(used.state, UserCouponState::Used { .. }));
    assert!(tenth.expires_at.is_some() && endless.expires_at.is_none());
}
