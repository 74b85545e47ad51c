//! What the database said of coupons a moment ago. Administrators change them, and no instance tells the others: whatever is
//! older than a second is asked for again before anybody relies on it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use jangteo_domain::{CouponCode, RepositoryError};
use moka::sync::Cache;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::coupon_gate::{Claimable, CouponPlaces, Edition};

/// How long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// Who comes later has it asked for anew and does not wait for it, so that nobody waits while many come.
const FRESH: Duration = Duration::from_millis(500);
/// How long an answer is waited for. Whoever waits longer relies on the last one: while the database is away, nobody changes
/// a coupon.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a coupon is remembered that nobody asks for.
const IDLE: Duration = Duration::from_secs(60);
/// Codes that are remembered.
const MANY: u64 = 10_000;

/// What is known of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Claimable(Claimable),
    NoSuchCoupon,
    /// The database has not answered.
    Nothing,
}

impl Known {
    pub(super) fn edition(&self) -> Option<Edition> {
        match self {
            Self::Claimable(claimable) => Some(claimable.edition),
            Self::NoSuchCoupon | Self::Nothing => None,
        }
    }
}

#[derive(Clone)]
struct Said {
    /// Before the database read it.
    asked_at: Instant,
    known: Known,
}

/// A question that is under way: since when, and when it is answered.
type Asking = (Instant, Shared<BoxFuture<'static, ()>>);

pub(super) struct Knowledge {
    places: Arc<dyn CouponPlaces>,
    said: Cache<CouponCode, Said>,
    asking: Mutex<HashMap<CouponCode, Asking>>,
    home: Handle,
}

impl Knowledge {
    /// Asks on the current Tokio runtime.
    pub(super) fn here(places: Arc<dyn CouponPlaces>) -> Arc<Self> {
        let said = Cache::builder().max_capacity(MANY).time_to_idle(IDLE).build();
        Arc::new(Self { places, said, asking: Mutex::default(), home: Handle::current() })
    }

    /// What is known, no more than a second old as long as the database answers.
    pub(super) async fn of(self: &Arc<Self>, code: &CouponCode) -> Known {
        match self.said.get(code).map(|said| said.asked_at.elapsed()) {
            Some(age) if age < FRESH => {}
            Some(age) if age < BELIEVED => drop(self.ask(code)),
            Some(_) | None => {
                let (since, answered) = self.ask(code);
                let _ = timeout_at(since + PATIENCE, answered).await;
            }
        }
        self.last(code)
    }

    /// What was said last, however long ago.
    pub(super) fn last(&self, code: &CouponCode) -> Known {
        self.said.get(code).map_or(Known::Nothing, |said| said.known)
    }

    /// Asks the database now.
    pub(super) async fn learn(&self, code: &CouponCode) -> Result<Option<Claimable>, RepositoryError> {
        let asked_at = Instant::now();
        let claimable = self.places.claimable(code).await?;
        self.note(code, asked_at, claimable.clone().map_or(Known::NoSuchCoupon, Known::Claimable));
        Ok(claimable)
    }

    /// A coupon was changed, here and now.
    pub(super) fn changed(&self, code: &CouponCode, claimable: Claimable) {
        let later = self.last(code).edition().is_some_and(|last| last.supersedes(claimable.edition));
        if !later {
            self.note(code, Instant::now(), Known::Claimable(claimable));
        }
    }

    /// One question for all who want to know.
    fn ask(self: &Arc<Self>, code: &CouponCode) -> Asking {
        let mut asking = self.asking();
        if let Some(under_way) = asking.get(code) {
            return under_way.clone();
        }
        let (knowledge, asked) = (Arc::clone(self), code.clone());
        let answered = self.home.spawn(async move {
            let learned = AssertUnwindSafe(knowledge.learn(&asked)).catch_unwind().await;
            if !matches!(learned, Ok(Ok(_))) {
                tracing::debug!(coupon = %asked, "the database does not say what there is of a coupon");
                knowledge.note(&asked, Instant::now(), knowledge.last(&asked));
            }
            knowledge.asking().remove(&asked);
        });
        let question: Asking = (Instant::now(), answered.map(drop).boxed().shared());
        asking.insert(code.clone(), question.clone());
        question
    }

    /// An answer to a later question counts.
    fn note(&self, code: &CouponCode, asked_at: Instant, known: Known) {
        self.said.entry_by_ref(code).and_upsert_with(|there| match there.map(|there| there.into_value()) {
            Some(there) if there.asked_at > asked_at => there,
            Some(_) | None => Said { asked_at, known },
        });
    }

    fn asking(&self) -> MutexGuard<'_, HashMap<CouponCode, Asking>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use chrono::DateTime;
    use jangteo_domain::CouponId;

    use super::*;
    use crate::coupon_gate::MockCouponPlaces;
    use crate::mocks::backend;

    fn code() -> CouponCode {
        "FLASH".parse().unwrap()
    }

    fn claimable(version: i32) -> Claimable {
        let edition = Edition { coupon: CouponId(1), version };
        Claimable { edition, window: DateTime::UNIX_EPOCH..DateTime::UNIX_EPOCH }
    }

    fn version(version: i32) -> Known {
        Known::Claimable(claimable(version))
    }

    /// The database says this, one after the other.
    fn knowledge(answers: Vec<Result<Option<Claimable>, RepositoryError>>) -> Arc<Knowledge> {
        let mut places = MockCouponPlaces::new();
        let answers = Mutex::new(VecDeque::from(answers));
        places
            .expect_claimable()
            .returning(move |_| answers.lock().unwrap().pop_front().expect("asked too often"));
        Knowledge::here(Arc::new(places))
    }

    async fn pass(milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_believed_for_a_second_and_renewed_behind_those_who_come() {
        let knowledge =
            knowledge(vec![Ok(Some(claimable(1))), Ok(Some(claimable(2))), Ok(Some(claimable(3)))]);
        assert_eq!(knowledge.of(&code()).await, version(1));
        pass(499).await;
        assert_eq!(knowledge.of(&code()).await, version(1));
        pass(1).await;
        assert_eq!(knowledge.of(&code()).await, version(1), "nobody waits for the second");
        pass(1).await;
        assert_eq!(knowledge.of(&code()).await, version(2));
        pass(1_000).await;
        assert_eq!(knowledge.of(&code()).await, version(3), "whoever comes late waits");
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_want_to_know_ask_once() {
        let knowledge = knowledge(vec![Ok(None)]);
        let all = futures::future::join_all((0..50).map(|_| async { knowledge.of(&code()).await })).await;
        assert!(all.into_iter().all(|known| known == Known::NoSuchCoupon));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_database_is_away_the_last_answer_counts() {
        let answers = vec![Err(backend()), Ok(Some(claimable(1))), Err(backend()), Ok(Some(claimable(2)))];
        let knowledge = knowledge(answers);
        assert_eq!(knowledge.of(&code()).await, Known::Nothing);
        pass(1_000).await;
        assert_eq!(knowledge.of(&code()).await, version(1));
        pass(1_000).await;
        assert_eq!(knowledge.of(&code()).await, version(1));
        pass(1_000).await;
        assert_eq!(knowledge.of(&code()).await, version(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_changed_here_is_known_at_once_and_an_earlier_answer_comes_too_late() {
        let knowledge = knowledge(vec![Ok(Some(claimable(1)))]);
        let asked_at = Instant::now();
        pass(1).await;
        knowledge.changed(&code(), claimable(3));
        knowledge.changed(&code(), claimable(2));
        knowledge.note(&code(), asked_at, version(1));
        assert_eq!(knowledge.of(&code()).await, version(3));
    }
}
