//! Creating, renaming and deleting stores.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::store::{StoreDeleted, StoreName};
use jangteo_domain::{RepositoryError, Store, StoreId, UserId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{Moment, from_json, to_json};
use crate::trail::{Administrator, Subject, TrailEntry};
use crate::unit_of_work::UnitOfWork;
use crate::versions::{Expected, Stale};

/// Does what administrators do to stores.
#[derive(Debug, Clone, Copy, Default)]
pub struct ManageStores;

/// Do something to a store.
#[derive(Debug, Clone)]
pub struct ManageStore {
    /// Who asks for it.
    pub by: Administrator,
    /// What.
    pub action: StoreAction,
}

/// What can be done to a store.
#[derive(Debug, Clone)]
pub enum StoreAction {
    /// Create one.
    Create {
        /// Its name.
        name: StoreName,
    },
    /// Rename one.
    Rename {
        /// Which.
        id: StoreId,
        /// Which versions.
        expected: Expected,
        /// Its name from then on.
        name: StoreName,
    },
    /// Delete one that has no products.
    Delete {
        /// Which.
        id: StoreId,
        /// Which versions.
        expected: Expected,
    },
}

/// The action that creates a store.
pub const CREATE_STORE: &str = "create-store";
const CHANGE_STORE: &str = "change-store";
/// The action that deletes a store.
pub const DELETE_STORE: &str = "delete-store";

impl StoreAction {
    /// Names it in idempotency keys and on the trail.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => CREATE_STORE,
            Self::Rename { .. } => CHANGE_STORE,
            Self::Delete { .. } => DELETE_STORE,
        }
    }

    fn store(&self) -> Option<StoreId> {
        match self {
            Self::Create { .. } => None,
            Self::Rename { id, .. } | Self::Delete { id, .. } => Some(*id),
        }
    }

    fn new_name(&self) -> Option<&StoreName> {
        match self {
            Self::Create { name } | Self::Rename { name, .. } => Some(name),
            Self::Delete { .. } => None,
        }
    }
}

/// Why nothing was done to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreRefusal {
    /// There is no such store.
    #[error("there is no such store")]
    Unknown,
    /// Somebody else was faster.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// It was deleted before.
    #[error(transparent)]
    Deleted(#[from] StoreDeleted),
    /// Another store has the name, or had it.
    #[error("the name is taken")]
    NameTaken,
    /// It has products.
    #[error("the store has products")]
    HasProducts,
}

#[async_trait]
impl Operation for ManageStores {
    const NAME: &'static str = "manage-store";
    const KEY_SCOPES: &'static [&'static str] = &[CREATE_STORE, CHANGE_STORE, DELETE_STORE];
    const IDS: Option<Sequence> = Some(Sequence::Stores);

    type Command = ManageStore;
    type Success = Store;
    type Refusal = StoreRefusal;

    /// No money moves.
    fn customer(_: &ManageStore) -> Option<UserId> {
        None
    }

    fn key_scope(command: &ManageStore) -> (Option<UserId>, &'static str) {
        (Some(command.by.user), command.action.name())
    }

    fn fingerprint(command: &ManageStore) -> Fingerprint {
        match &command.action {
            StoreAction::Create { name } => Fingerprint::of(&name.as_str()),
            StoreAction::Rename { id, expected, name } => {
                Fingerprint::of(&(id.0, expected.versions(), name.as_str()))
            }
            StoreAction::Delete { id, expected } => Fingerprint::of(&(id.0, expected.versions())),
        }
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&ManageStore],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut register = Register::load(work.uow, commands).await?;
        let mut outcomes = Vec::with_capacity(commands.len());
        let mut entries = Vec::new();
        for command in commands {
            let outcome = register.decide(&command.action, &mut work.ids, work.now);
            if let Ok(change) = &outcome
                && change.before.as_ref() != Some(&change.after)
            {
                // One by one, in this order: a name may go from one store to the next.
                match change.before {
                    None => work.uow.stores().insert(&change.after).await?,
                    Some(_) => work.uow.stores().update(&change.after).await?,
                }
                entries.push(change.entry(command, work.now));
            }
            outcomes.push(outcome.map(|change| change.after));
        }
        if !entries.is_empty() {
            work.uow.trail().append(&entries).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        let record = match outcome {
            Ok(store) => Record::Done(StoreSnapshot::from(store)),
            Err(StoreRefusal::Unknown | StoreRefusal::Stale(_)) => return None,
            Err(StoreRefusal::Deleted(_)) => Record::Deleted,
            Err(StoreRefusal::NameTaken) => Record::NameTaken,
            Err(StoreRefusal::HasProducts) => Record::HasProducts,
        };
        Some(to_json(&record))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Done(store) => Ok(store.try_into()?),
            Record::Deleted => Err(StoreDeleted.into()),
            Record::NameTaken => Err(StoreRefusal::NameTaken),
            Record::HasProducts => Err(StoreRefusal::HasProducts),
        })
    }
}

/// A store before and after what was done to it.
struct Change {
    before: Option<Store>,
    after: Store,
}

impl Change {
    fn entry(&self, command: &ManageStore, now: DateTime<Utc>) -> TrailEntry {
        let before = self.before.as_ref().map(StoreSnapshot::from);
        let after = StoreSnapshot::from(&self.after);
        let subject = (Subject::Store, self.after.id.0);
        TrailEntry::new(&command.by, command.action.name(), subject, (before.as_ref(), Some(&after)), now)
    }
}

/// What the commands touch, as the batch goes on.
struct Register {
    stores: BTreeMap<StoreId, Store>,
    owners: BTreeMap<StoreName, StoreId>,
    with_products: BTreeSet<StoreId>,
}

impl Register {
    async fn load(uow: &mut dyn UnitOfWork, commands: &[&ManageStore]) -> Result<Self, RepositoryError> {
        let actions = || commands.iter().map(|command| &command.action);
        let stores: BTreeSet<StoreId> = actions().filter_map(StoreAction::store).collect();
        let names: BTreeSet<StoreName> = actions().filter_map(StoreAction::new_name).cloned().collect();
        let deletes = |action: &&StoreAction| matches!(action, StoreAction::Delete { .. });
        let going: BTreeSet<StoreId> = actions().filter(deletes).filter_map(StoreAction::store).collect();
        Ok(Self {
            stores: if stores.is_empty() { BTreeMap::new() } else { uow.stores().lock_many(&stores).await? },
            owners: if names.is_empty() { BTreeMap::new() } else { uow.stores().owners(&names).await? },
            with_products: match going.is_empty() {
                true => BTreeSet::new(),
                false => uow.stores().with_products(&going).await?,
            },
        })
    }

    fn decide(
        &mut self,
        action: &StoreAction,
        ids: &mut impl Iterator<Item = i64>,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreRefusal> {
        let (before, after) = match action {
            StoreAction::Create { name } => {
                self.check_free(name, None)?;
                let id = StoreId(ids.next().expect("an id for every command"));
                (None, Store::new(id, name.clone(), now))
            }
            StoreAction::Rename { id, expected, name } => {
                let before = self.there(*id, expected)?;
                self.check_free(name, Some(*id))?;
                (Some(before.clone()), before.renamed(name.clone(), now))
            }
            StoreAction::Delete { id, expected } => {
                let before = self.there(*id, expected)?;
                if self.with_products.contains(id) {
                    return Err(StoreRefusal::HasProducts);
                }
                (Some(before.clone()), before.deleted(now))
            }
        };
        self.note(before.as_ref(), &after);
        Ok(Change { before, after })
    }

    fn there(&self, id: StoreId, expected: &Expected) -> Result<Store, StoreRefusal> {
        let store = self.stores.get(&id).ok_or(StoreRefusal::Unknown)?;
        expected.check(store.version)?;
        store.check_there()?;
        Ok(store.clone())
    }

    fn check_free(&self, name: &StoreName, whose: Option<StoreId>) -> Result<(), StoreRefusal> {
        match self.owners.get(name) {
            Some(owner) if Some(*owner) != whose => Err(StoreRefusal::NameTaken),
            Some(_) | None => Ok(()),
        }
    }

    fn note(&mut self, before: Option<&Store>, after: &Store) {
        if let Some(before) = before {
            self.owners.remove(&before.name);
        }
        self.owners.insert(after.name.clone(), after.id);
        self.stores.insert(after.id, after.clone());
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Done(StoreSnapshot),
    Deleted,
    NameTaken,
    HasProducts,
}

/// A store, on the trail too.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoreSnapshot {
    id: i64,
    name: String,
    created_at: Moment,
    updated_at: Moment,
    deleted_at: Option<Moment>,
    version: i32,
}

impl From<&Store> for StoreSnapshot {
    fn from(store: &Store) -> Self {
        Self {
            id: store.id.0,
            name: store.name.to_string(),
            created_at: Moment(store.created_at),
            updated_at: Moment(store.updated_at),
            deleted_at: store.deleted_at.map(Moment),
            version: store.version,
        }
    }
}

impl TryFrom<StoreSnapshot> for Store {
    type Error = serde_json::Error;

    fn try_from(snapshot: StoreSnapshot) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: StoreId(snapshot.id),
            name: snapshot.name.parse().map_err(serde_json::Error::custom)?,
            created_at: snapshot.created_at.0,
            updated_at: snapshot.updated_at.0,
            deleted_at: snapshot.deleted_at.map(|at| at.0),
            version: snapshot.version,
        })
    }
}
