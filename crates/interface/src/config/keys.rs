//! What tokens are signed and checked with.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};

/// Secrets that tokens are signed with. Not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct JwtSecrets(Vec<String>);

/// Shorter ones can be guessed from a token: RFC 7518 (3.2) asks for as many bytes as the hash has.
const SHORTEST: usize = 32;

impl JwtSecrets {
    /// The secrets. The first is the one to sign with.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<String>> for JwtSecrets {
    type Error = &'static str;

    fn try_from(secrets: Vec<String>) -> Result<Self, Self::Error> {
        match secrets.iter().all(|secret| secret.len() >= SHORTEST) {
            true => Ok(Self(secrets)),
            false => Err("a secret must have at least 32 bytes, such as those of `openssl rand -base64 48`"),
        }
    }
}

impl FromStr for JwtSecrets {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        separated(text).try_into()
    }
}

impl fmt::Debug for JwtSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtSecrets({} ***)", self.0.len())
    }
}

/// Public keys that tokens are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JwtPublicKeys(Vec<JwtPublicKey>);

/// A public key, with the name that tokens may call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtPublicKey {
    /// What a token has as its `kid`.
    pub kid: Option<String>,
    /// The key.
    pub pem: Pem,
}

/// Where the PEM of a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pem {
    /// Here.
    Inline(String),
    /// In a file.
    File(PathBuf),
}

impl JwtPublicKeys {
    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &JwtPublicKey> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<String>> for JwtPublicKeys {
    type Error = &'static str;

    fn try_from(keys: Vec<String>) -> Result<Self, Self::Error> {
        keys.iter().map(|key| key.parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for JwtPublicKeys {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        separated(text).try_into()
    }
}

impl FromStr for JwtPublicKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        // In base64 there are equals signs too.
        let (kid, pem) = match text.split_once('=') {
            Some((kid, pem)) if !kid.contains(BEGIN) => (Some(kid.trim().to_owned()), pem.trim()),
            Some(_) | None => (None, text),
        };
        if pem.is_empty() || kid.as_ref().is_some_and(String::is_empty) {
            return Err("must be a PEM file, or its content, and may have a name: FILE or KID=FILE");
        }
        let pem = match pem.starts_with(BEGIN) {
            true => Pem::Inline(pem.to_owned()),
            false => Pem::File(pem.into()),
        };
        Ok(Self { kid, pem })
    }
}

const BEGIN: &str = "-----BEGIN";

fn separated(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// Texts in a list, or in one text, separated by commas.
pub(super) fn texts<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = &'static str> + TryFrom<Vec<String>, Error = &'static str>,
{
    deserializer.deserialize_any(Texts(PhantomData))
}

struct Texts<T>(PhantomData<T>);

impl<'de, T> Visitor<'de> for Texts<T>
where
    T: FromStr<Err = &'static str> + TryFrom<Vec<String>, Error = &'static str>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            texts.push(text);
        }
        match texts.is_empty() {
            true => Err(A::Error::custom("there is nothing in the list")),
            false => texts.try_into().map_err(A::Error::custom),
        }
    }
}
