use chrono::DateTime;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::{Money, Wallet};

use super::*;
use crate::mocks::MockedUnitOfWork;

const MINA: UserId = UserId(1);
const JUN: UserId = UserId(2);

fn account(user: UserId, email: &str) -> Account {
    let name = "A name".parse().unwrap();
    let profile = Profile { name, email: email.parse().unwrap(), phone: Some("010-1234".parse().unwrap()) };
    Account { user: User { id: user, profile, created_at: DateTime::UNIX_EPOCH }, version: 3 }
}

fn email(text: &str) -> AccountChange {
    AccountChange::Profile(ProfileChange { email: Some(text.parse().unwrap()), ..ProfileChange::default() })
}

fn myself(user: UserId, change: AccountChange) -> AccountCommand {
    AccountCommand { user, by: By::Themselves, change }
}

fn managed(user: UserId, expected: Expected, change: AccountChange) -> AccountCommand {
    let administrator = Administrator { user: UserId(9), trace_id: "0".repeat(32) };
    AccountCommand { user, by: By::Administrator(administrator, expected), change }
}

/// What a batch comes to, and what is written.
async fn decided(
    balance: i64,
    open: Vec<OpenOrders>,
    commands: &[AccountCommand],
) -> (Vec<Outcome<ManageAccounts>>, Vec<Account>, BTreeSet<UserId>, Vec<TrailEntry>) {
    let mut uow = MockedUnitOfWork::default();
    let accounts = [account(MINA, "mina@example.com"), account(JUN, "jun@example.com")];
    let taken = accounts.clone().map(|account| account.user.profile.email);
    uow.users.expect_accounts().returning(move |users| {
        let accounts = accounts.clone().into_iter().map(|account| (account.user.id, account));
        Ok(accounts.filter(|(user, _)| users.contains(user)).collect())
    });
    uow.users
        .expect_taken_emails()
        .returning(move |emails| Ok(emails.iter().filter(|email| taken.contains(email)).cloned().collect()));
    uow.users.expect_open_orders().returning(move |_| Ok([(MINA, open.clone())].into()));
    let (changed, closed, trail) = <(std::sync::Arc<std::sync::Mutex<Vec<Account>>>, _, _)>::default();
    let closed: std::sync::Arc<std::sync::Mutex<BTreeSet<UserId>>> = closed;
    let trail: std::sync::Arc<std::sync::Mutex<Vec<TrailEntry>>> = trail;
    let (changes, closes, entries) = (changed.clone(), closed.clone(), trail.clone());
    uow.users.expect_change_many().returning(move |accounts, _| {
        changes.lock().unwrap().extend_from_slice(accounts);
        Ok(())
    });
    uow.users.expect_close_many().returning(move |users, _| {
        closes.lock().unwrap().extend(users);
        Ok(())
    });
    uow.trail.expect_append().returning(move |trail| {
        entries.lock().unwrap().extend_from_slice(trail);
        Ok(())
    });
    let wallet = |user| (user, Wallet { user, balance: Money::from_minor(balance) });
    let mut work = Work {
        uow: &mut uow,
        wallets: [MINA, JUN].map(wallet).into(),
        ids: Vec::new().into_iter(),
        now: DateTime::UNIX_EPOCH,
    };
    let commands: Vec<_> = commands.iter().collect();
    let outcomes = ManageAccounts.decide(&mut work, &commands).await.unwrap();
    let written = (changed.lock().unwrap().clone(), closed.lock().unwrap().clone());
    let trail = trail.lock().unwrap().clone();
    (outcomes, written.0, written.1, trail)
}

#[tokio::test]
async fn a_batch_is_decided_as_if_each_came_alone() {
    let commands = [
        myself(JUN, email("mina@example.com")),
        myself(MINA, email("new@example.com")),
        myself(JUN, email("mina@example.com")),
        myself(MINA, email("new@example.com")),
        myself(MINA, AccountChange::Close),
        myself(MINA, AccountChange::Close),
        myself(MINA, email("newer@example.com")),
    ];
    let (outcomes, changed, closed, trail) = decided(0, Vec::new(), &commands).await;
    let versions: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| {
            outcome.map(|changed| match changed {
                AccountChanged::Profile(account) => account.version,
                AccountChanged::Closed => 0,
            })
        })
        .collect();
    let unknown = || Err(AccountRefusal::Unknown);
    assert_eq!(versions, [Err(AccountRefusal::EmailTaken), Ok(4), Ok(4), Ok(4), Ok(0), unknown(), unknown()]);
    let changed: Vec<_> = changed.iter().map(|account| (account.user.id, account.version)).collect();
    assert_eq!(changed, [(MINA, 4), (JUN, 4)]);
    assert_eq!(closed, [MINA].into());
    assert!(trail.is_empty(), "customers leave none");
}

#[tokio::test]
async fn who_has_money_or_open_orders_is_told_all_of_it() {
    let open = vec![OpenOrders { status: OrderStatus::Shipping, count: 2 }];
    let (outcomes, _, closed, _) = decided(1, open.clone(), &[myself(MINA, AccountChange::Close)]).await;
    let kept = StillOpen { balance: Money::from_minor(1), orders: open };
    assert_eq!(outcomes, [Err(AccountRefusal::StillOpen(kept))]);
    assert!(closed.is_empty());
}

#[tokio::test]
async fn an_administrator_changes_what_they_saw_and_leaves_a_trail_without_names() {
    let three = || Expected::OneOf(vec![3]);
    let commands = [
        managed(MINA, three(), email("new@example.com")),
        managed(MINA, three(), email("newer@example.com")),
        managed(MINA, Expected::Any, email("new@example.com")),
        managed(JUN, Expected::Any, AccountChange::Close),
    ];
    let (outcomes, _, _, trail) = decided(0, Vec::new(), &commands).await;
    assert_eq!(outcomes[1], Err(AccountRefusal::Stale(Stale { version: 4 })));
    let told: Vec<_> = trail.iter().map(|entry| (entry.action, entry.id, entry.after.as_deref())).collect();
    let after = r#"{"email":"new@example.com","hasPhone":true,"version":4}"#;
    assert_eq!(told, [("change-user", 1, Some(after)), ("close-user", 2, None)]);
}

#[test]
fn a_fingerprint_tells_every_request_from_every_other() {
    let phone = |phone| AccountChange::Profile(ProfileChange { phone, ..ProfileChange::default() });
    let fingerprints: BTreeSet<Fingerprint> = [
        myself(MINA, AccountChange::Close),
        myself(JUN, AccountChange::Close),
        myself(MINA, phone(None)),
        myself(MINA, phone(Some(None))),
        myself(MINA, phone(Some(Some("010-1234".parse().unwrap())))),
        myself(MINA, email("010-1234@example.com")),
        managed(MINA, Expected::OneOf(vec![1]), AccountChange::Close),
    ]
    .iter()
    .map(ManageAccounts::fingerprint)
    .collect();
    assert_eq!(fingerprints.len(), 7);
}

#[test]
fn every_outcome_is_read_as_it_was_written() {
    let orders = vec![OpenOrders { status: OrderStatus::Pending, count: 2 }];
    for outcome in [
        Ok(AccountChanged::Profile(account(MINA, "mina@example.com"))),
        Ok(AccountChanged::Closed),
        Err(AccountRefusal::Unknown),
        Err(AccountRefusal::EmailTaken),
        Err(AccountRefusal::Stale(Stale { version: 7 })),
        Err(AccountRefusal::StillOpen(StillOpen { balance: Money::from_minor(1), orders })),
    ] {
        let record = ManageAccounts::record(&outcome).unwrap();
        assert_eq!(ManageAccounts::replay(&record).unwrap(), outcome);
    }
}
