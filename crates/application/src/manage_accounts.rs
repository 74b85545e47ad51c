//! Changing and closing customers' accounts, by themselves or by administrators.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jangteo_domain::user::{Account, Email, OpenOrders, Phone, Profile, ProfileChange, StillOpen};
use jangteo_domain::{RepositoryError, User, UserId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{Moment, MoneyText, StatusSnapshot, from_json, to_json};
use crate::trail::{Administrator, Subject, TrailEntry};
use crate::versions::{Expected, Stale};

/// Whoever leaves has closed wallet and account in one transaction, under the lock that every purchase needs: a purchase at
/// the same time is either before it, and keeps the customer, or after it, and finds nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct ManageAccounts;

/// Change one account.
#[derive(Debug, Clone)]
pub struct AccountCommand {
    /// Whose.
    pub user: UserId,
    /// Who asks.
    pub by: By,
    /// What for.
    pub change: AccountChange,
}

/// Who asks for a change.
#[derive(Debug, Clone)]
pub enum By {
    /// The customer.
    Themselves,
    /// An administrator, for an account that they may have seen.
    Administrator(Administrator, Expected),
}

/// What is to become of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChange {
    /// Its profile becomes another one.
    Profile(ProfileChange),
    /// The customer leaves.
    Close,
}

/// What has become of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChanged {
    /// It is this since.
    Profile(Account),
    /// It is closed.
    Closed,
}

/// Why an account is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefusal {
    /// There is no such customer, or there is none any more.
    #[error("there is no such customer")]
    Unknown,
    /// The e-mail address belongs to another customer.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// Somebody else was faster.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The customer cannot leave yet.
    #[error(transparent)]
    StillOpen(#[from] StillOpen),
}

const CHANGE_ME: &str = "change-me";
const LEAVE: &str = "leave";
const CHANGE_USER: &str = "change-user";
const CLOSE_USER: &str = "close-user";

impl ManageAccounts {
    /// Whether who asked under a key of this scope was an administrator.
    #[must_use]
    pub fn is_by_administrator(scope: &str) -> bool {
        [CHANGE_USER, CLOSE_USER].contains(&scope)
    }
}

impl AccountCommand {
    /// Names what is asked for, in keys and in the trail.
    fn name(&self) -> &'static str {
        match (&self.by, &self.change) {
            (By::Themselves, AccountChange::Profile(_)) => CHANGE_ME,
            (By::Themselves, AccountChange::Close) => LEAVE,
            (By::Administrator(..), AccountChange::Profile(_)) => CHANGE_USER,
            (By::Administrator(..), AccountChange::Close) => CLOSE_USER,
        }
    }
}

#[async_trait]
impl Operation for ManageAccounts {
    const NAME: &'static str = "manage-account";
    const KEY_SCOPES: &'static [&'static str] = &[CHANGE_ME, LEAVE, CHANGE_USER, CLOSE_USER];
    const IDS: Option<Sequence> = None;

    type Command = AccountCommand;
    type Success = AccountChanged;
    type Refusal = AccountRefusal;

    fn customer(command: &AccountCommand) -> Option<UserId> {
        Some(command.user)
    }

    /// An administrator's keys are their own.
    fn key_scope(command: &AccountCommand) -> (Option<UserId>, &'static str) {
        let asking = match &command.by {
            By::Themselves => command.user,
            By::Administrator(administrator, _) => administrator.user,
        };
        (Some(asking), command.name())
    }

    fn fingerprint(command: &AccountCommand) -> Fingerprint {
        let expected = match &command.by {
            By::Themselves | By::Administrator(_, Expected::Any) => None,
            By::Administrator(_, Expected::OneOf(versions)) => Some(versions),
        };
        let change = match &command.change {
            AccountChange::Close => None,
            AccountChange::Profile(ProfileChange { name, email, phone }) => {
                let phone = phone.as_ref().map(|phone| phone.as_ref().map(Phone::as_str));
                // A number that is to go is something else than none that is named.
                let phone = phone.map(|phone| [phone]);
                Some((name.as_ref().map(ToString::to_string), email.as_ref().map(Email::as_str), phone))
            }
        };
        Fingerprint::of(&(command.user.0, expected, change))
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&AccountCommand],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut desk = Desk::open(work, commands).await?;
        let outcomes = commands.iter().map(|command| desk.decide(command, work)).collect();
        desk.store(work).await?;
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        Some(to_json(&match outcome {
            Ok(AccountChanged::Profile(Account { user, version })) => Record::Changed {
                id: user.id.0,
                name: user.profile.name.to_string(),
                email: user.profile.email.to_string(),
                phone: user.profile.phone.as_ref().map(ToString::to_string),
                created_at: Moment(user.created_at),
                version: *version,
            },
            Ok(AccountChanged::Closed) => Record::Closed,
            Err(AccountRefusal::Unknown) => Record::Unknown,
            Err(AccountRefusal::EmailTaken) => Record::EmailTaken,
            Err(AccountRefusal::Stale(Stale { version })) => Record::Stale { version: *version },
            Err(AccountRefusal::StillOpen(StillOpen { balance, orders })) => Record::StillOpen {
                balance: MoneyText(*balance),
                orders: orders.iter().map(|open| (open.status.into(), open.count)).collect(),
            },
        }))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Closed => Ok(AccountChanged::Closed),
            Record::Unknown => Err(AccountRefusal::Unknown),
            Record::EmailTaken => Err(AccountRefusal::EmailTaken),
            Record::Stale { version } => Err(Stale { version }.into()),
            Record::StillOpen { balance, orders } => {
                let open =
                    |(status, count): (StatusSnapshot, u64)| OpenOrders { status: status.into(), count };
                Err(StillOpen { balance: balance.0, orders: orders.into_iter().map(open).collect() }.into())
            }
            Record::Changed { id, name, email, phone, created_at, version } => {
                let profile = Profile {
                    name: name.parse().map_err(serde_json::Error::custom)?,
                    email: email.parse().map_err(serde_json::Error::custom)?,
                    phone: phone.map(|phone| phone.parse()).transpose().map_err(serde_json::Error::custom)?,
                };
                let user = User { id: UserId(id), profile, created_at: created_at.0 };
                Ok(AccountChanged::Profile(Account { user, version }))
            }
        })
    }
}

/// The accounts of a batch, as they are after what was decided so far.
struct Desk {
    accounts: BTreeMap<UserId, Account>,
    taken: BTreeSet<Email>,
    open_orders: BTreeMap<UserId, Vec<OpenOrders>>,
    changed: Vec<Account>,
    closed: BTreeSet<UserId>,
    trail: Vec<TrailEntry>,
}

impl Desk {
    async fn open(work: &mut Work<'_>, commands: &[&AccountCommand]) -> Result<Self, RepositoryError> {
        let (mut users, mut leaving, mut emails) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for command in commands {
            users.insert(command.user);
            match &command.change {
                AccountChange::Close => drop(leaving.insert(command.user)),
                AccountChange::Profile(change) => emails.extend(change.email.clone()),
            }
        }
        let repository = work.uow.users();
        let accounts = repository.accounts(&users).await?;
        let taken = match emails.is_empty() {
            true => BTreeSet::new(),
            false => repository.taken_emails(&emails).await?,
        };
        let open_orders = match leaving.is_empty() {
            true => BTreeMap::new(),
            false => repository.open_orders(&leaving).await?,
        };
        let (changed, closed, trail) = (Vec::new(), BTreeSet::new(), Vec::new());
        Ok(Self { accounts, taken, open_orders, changed, closed, trail })
    }

    fn decide(
        &mut self,
        command: &AccountCommand,
        work: &Work<'_>,
    ) -> Result<AccountChanged, AccountRefusal> {
        let before = self.accounts.get(&command.user).ok_or(AccountRefusal::Unknown)?.clone();
        if let By::Administrator(_, expected) = &command.by {
            expected.check(before.version)?;
        }
        let after = match &command.change {
            AccountChange::Profile(change) => Some(self.change(&before, change)?),
            AccountChange::Close => {
                self.close(command.user, work)?;
                None
            }
        };
        let unchanged = after.as_ref() == Some(&before);
        if let By::Administrator(administrator, _) = &command.by
            && !unchanged
        {
            let (was, is) = (Traced::of(&before), after.as_ref().map(Traced::of));
            let subject = (Subject::User, command.user.0);
            let states = (Some(&was), is.as_ref());
            self.trail.push(TrailEntry::new(administrator, command.name(), subject, states, work.now));
        }
        Ok(after.map_or(AccountChanged::Closed, AccountChanged::Profile))
    }

    /// What is the same already is no change.
    fn change(&mut self, before: &Account, change: &ProfileChange) -> Result<Account, AccountRefusal> {
        let profile = change.applied_to(&before.user.profile);
        if profile == before.user.profile {
            return Ok(before.clone());
        }
        if profile.email != before.user.profile.email && !self.taken.insert(profile.email.clone()) {
            return Err(AccountRefusal::EmailTaken);
        }
        if profile.email != before.user.profile.email {
            self.taken.remove(&before.user.profile.email);
        }
        let user = User { profile, ..before.user.clone() };
        let after = Account { user, version: before.version.saturating_add(1) };
        self.accounts.insert(after.user.id, after.clone());
        self.changed.push(after.clone());
        Ok(after)
    }

    fn close(&mut self, user: UserId, work: &Work<'_>) -> Result<(), StillOpen> {
        let balance = work.wallets.get(&user).expect("every customer has a wallet").balance;
        StillOpen::check(balance, self.open_orders.get(&user).cloned().unwrap_or_default())?;
        self.accounts.remove(&user);
        self.closed.insert(user);
        Ok(())
    }

    /// Who changed and then left, changed first.
    async fn store(&self, work: &mut Work<'_>) -> Result<(), RepositoryError> {
        if !self.changed.is_empty() {
            work.uow.users().change_many(&self.changed, work.now).await?;
        }
        if !self.closed.is_empty() {
            work.uow.users().close_many(&self.closed, work.now).await?;
        }
        if !self.trail.is_empty() {
            work.uow.trail().append(&self.trail).await?;
        }
        Ok(())
    }
}

/// What the trail says of an account: names and telephone numbers would stay there when the customer has long left.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Traced<'a> {
    email: &'a str,
    has_phone: bool,
    version: i32,
}

impl<'a> Traced<'a> {
    fn of(account: &'a Account) -> Self {
        let Profile { email, phone, .. } = &account.user.profile;
        Self { email: email.as_str(), has_phone: phone.is_some(), version: account.version }
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    #[serde(rename_all = "camelCase")]
    Changed {
        id: i64,
        name: String,
        email: String,
        phone: Option<String>,
        created_at: Moment,
        version: i32,
    },
    Closed,
    Unknown,
    EmailTaken,
    Stale {
        version: i32,
    },
    StillOpen {
        balance: MoneyText,
        orders: Vec<(StatusSnapshot, u64)>,
    },
}

#[cfg(test)]
mod tests;
