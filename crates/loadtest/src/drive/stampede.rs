//! Every customer claims the coupon, all as soon as they can.

use std::cell::RefCell;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::sync::Barrier;

use crate::journeys::{Breakdown, Customer, Kind, Row, Shop, Verdict};
use crate::load::Connection;
use crate::measure::{Answer, Figures};
use crate::stampede::{Crowd, Fate, Share, Tally};

/// Each customer once. The rate is that of all claims, from the first to the last.
pub(super) async fn run(shop: &Shop, clients: usize) -> Result<(Figures, Breakdown)> {
    let coupon = shop.coupon.as_deref().context("there is no coupon to claim")?;
    let path = format!("/coupons/{coupon}/claim");
    let (tally, served) = (RefCell::new(Tally::new(Instant::now())), RefCell::<Vec<Customer>>::default());
    let gathered = Barrier::new(clients);
    let crowd = (0..clients).map(|_| async {
        let mut connection = Connection::open(shop.site.address).await?;
        gathered.wait().await;
        while let Some(customer) = shop.next_customer() {
            let request = shop.site.request(Kind::ClaimCoupon.method(), &path, &customer.identity, None)?;
            served.borrow_mut().push(customer);
            let asked = Instant::now();
            let answer = connection.fetch(request).await;
            let fate = match &answer {
                Ok((status, body)) => fate(Kind::ClaimCoupon.judge(*status, body)),
                Err(_) => Fate::Failed(Answer::Lost),
            };
            tally.borrow_mut().add(fate, asked);
            if answer.is_err() {
                connection = Connection::open(shop.site.address).await?;
            }
        }
        anyhow::Ok(())
    });
    try_join_all(crowd).await?;
    served.into_inner().into_iter().for_each(|customer| shop.put_back(customer));
    let tally = tally.into_inner();
    Ok((tally.figures(), breakdown(&tally.figures(), tally.crowd())))
}

fn fate(verdict: Verdict) -> Fate {
    match verdict {
        Verdict::Granted => Fate::Won,
        Verdict::Refused(_) => Fate::Refused,
        Verdict::Unexpected(answer) => Fate::Failed(answer),
    }
}

fn breakdown(all: &Figures, Crowd { winners, losers }: Crowd) -> Breakdown {
    let (answered, failed) = (winners.count + losers.count, all.bad.values().sum::<u64>());
    let row = |what: &str, share: Share, refused| {
        let Share { count, median, p99 } = share;
        let rate = all.rate * count as f64 / answered.max(1) as f64;
        Row { what: what.to_owned(), figures: Figures { rate, median, p99, ..Figures::default() }, refused }
    };
    let requests =
        vec![row("claims that won", winners, 0), row("claims that came too late", losers, losers.count)];
    let all = Row { what: "all requests".to_owned(), figures: all.clone(), refused: losers.count };
    Breakdown { all, requests, journeys: Vec::new(), answered: answered + failed }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn winners_and_losers_share_the_rate() {
        let share = |count| Share { count, median: Duration::ZERO, p99: Duration::ZERO };
        let all = Figures { rate: 100.0, bad: [(Answer::Lost, 2)].into(), ..Figures::default() };
        let breakdown = breakdown(&all, Crowd { winners: share(1), losers: share(3) });
        assert_eq!(breakdown.requests.iter().map(|row| row.figures.rate).collect::<Vec<_>>(), [25.0, 75.0]);
        assert_eq!((breakdown.all.refused, breakdown.answered), (3, 6));
    }
}
