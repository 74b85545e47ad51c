//! The signatures of tokens, with ring: no second set of cryptography comes into the program for them.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result, new_error};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use signature::{Signer, Verifier};

/// HS256, RS256 and EdDSA with Ed25519: there is nothing else that a token could ask for.
static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has tokens signed and checked with ring in this process, however often it is asked for.
pub(super) fn install() {
    RING.install_default().ok();
}

enum PrivateKey {
    Hmac(hmac::Key),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

struct Signing {
    algorithm: Algorithm,
    key: PrivateKey,
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let bytes = key.as_bytes();
    let key = match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            PrivateKey::Hmac(hmac::Key::new(hmac::HMAC_SHA256, bytes))
        }
        (Algorithm::RS256, AlgorithmFamily::Rsa) => {
            let refused = |error: ring::error::KeyRejected| ErrorKind::InvalidRsaKey(error.to_string());
            PrivateKey::Rsa(RsaKeyPair::from_der(bytes).map_err(|error| new_error(refused(error)))?)
        }
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            // Most tools leave the public key out.
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes);
            PrivateKey::Ed25519(pair.map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?)
        }
        _ => return Err(new_error(ErrorKind::InvalidAlgorithm)),
    };
    Ok(Box::new(Signing { algorithm: *algorithm, key }))
}

impl Signer<Vec<u8>> for Signing {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        match &self.key {
            PrivateKey::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            PrivateKey::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            PrivateKey::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
                signed.map(|()| signature).map_err(|_| signature::Error::new())
            }
        }
    }
}

impl JwtSigner for Signing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

enum PublicKey {
    Hmac(hmac::Key),
    Asymmetric(UnparsedPublicKey<Vec<u8>>),
}

struct Checking {
    algorithm: Algorithm,
    key: PublicKey,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let bytes = key.try_get_as_bytes()?;
    let key = match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            PublicKey::Hmac(hmac::Key::new(hmac::HMAC_SHA256, bytes))
        }
        (Algorithm::RS256, AlgorithmFamily::Rsa) => {
            PublicKey::Asymmetric(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes.to_vec()))
        }
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            PublicKey::Asymmetric(UnparsedPublicKey::new(&ED25519, bytes.to_vec()))
        }
        _ => return Err(Error::from(ErrorKind::InvalidAlgorithm)),
    };
    Ok(Box::new(Checking { algorithm: *algorithm, key }))
}

impl Verifier<Vec<u8>> for Checking {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let checked = match &self.key {
            PublicKey::Hmac(key) => hmac::verify(key, message, signature),
            PublicKey::Asymmetric(key) => key.verify(message, signature),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Checking {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
