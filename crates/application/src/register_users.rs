//! Registering customers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jangteo_domain::user::{Email, Profile};
use jangteo_domain::{RepositoryError, User, UserId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{Moment, from_json, to_json};

/// Creates customers with empty wallets.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegisterUsers;

/// The e-mail address belongs to another customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the e-mail address is taken")]
pub struct EmailTaken;

#[async_trait]
impl Operation for RegisterUsers {
    const NAME: &'static str = "register-user";
    const IDS: Option<Sequence> = Some(Sequence::Users);

    type Command = Profile;
    type Success = User;
    type Refusal = EmailTaken;

    fn customer(_: &Profile) -> Option<UserId> {
        None
    }

    fn fingerprint(profile: &Profile) -> Fingerprint {
        let phone = profile.phone.as_ref().map(ToString::to_string);
        Fingerprint::of(&(profile.name.to_string(), profile.email.to_string(), phone))
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        profiles: &[&Profile],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let emails: BTreeSet<Email> = profiles.iter().map(|profile| profile.email.clone()).collect();
        let mut taken = work.uow.users().taken_emails(&emails).await?;
        let outcomes: Vec<Outcome<Self>> = profiles
            .iter()
            .map(|&profile| match taken.insert(profile.email.clone()) {
                false => Err(EmailTaken),
                true => {
                    let id = UserId(work.ids.next().expect("an id for every profile"));
                    Ok(User { id, profile: profile.clone(), created_at: work.now })
                }
            })
            .collect();
        let users: Vec<User> = outcomes.iter().flatten().cloned().collect();
        if !users.is_empty() {
            work.uow.users().insert_many(&users).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        Some(to_json(&match outcome {
            Ok(user) => Record::Registered {
                id: user.id.0,
                name: user.profile.name.to_string(),
                email: user.profile.email.to_string(),
                phone: user.profile.phone.as_ref().map(ToString::to_string),
                created_at: Moment(user.created_at),
            },
            Err(EmailTaken) => Record::EmailTaken,
        }))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::EmailTaken => Err(EmailTaken),
            Record::Registered { id, name, email, phone, created_at } => Ok(User {
                id: UserId(id),
                profile: Profile {
                    name: name.parse().map_err(serde_json::Error::custom)?,
                    email: email.parse().map_err(serde_json::Error::custom)?,
                    phone: phone.map(|phone| phone.parse()).transpose().map_err(serde_json::Error::custom)?,
                },
                created_at: created_at.0,
            }),
        })
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    #[serde(rename_all = "camelCase")]
    Registered {
        id: i64,
        name: String,
        email: String,
        phone: Option<String>,
        created_at: Moment,
    },
    EmailTaken,
}
