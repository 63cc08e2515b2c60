//! Signed notes: a text and Ed25519 signatures of it, as C2SP's `signed-note`
//! defines them.
//!
//! A note's text ends with a newline; an empty line and the lines of signatures
//! follow. [`Signer`] makes notes, [`Verifier`] opens them; neither knows what a
//! text is about.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use aws_lc_rs::{
    digest,
    error::Unspecified,
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rustls::pki_types::PrivateKeyDer;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::pem;

/// Marks an Ed25519 key in a key's id and in its text.
const ED25519_KEY: u8 = 1;

/// A signature's line begins with an em dash.
const SIGNATURE: &str = "— ";

/// The most bytes that are read as a note; one of a checkpoint is far smaller.
const LONGEST: usize = 1 << 20;

/// Why a key or a note can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file holds no such key.
    #[error(
        "{path} is not an Ed25519 private key in PKCS#8 PEM; \
         `openssl genpkey -algorithm ed25519` makes one"
    )]
    NotAKey {
        /// The file.
        path: String,
    },
    /// The file can't be read.
    #[error(transparent)]
    Unreadable(pem::Error),
    /// A key's name can't stand in a note.
    #[error("`{0}` can't be an origin: it may hold neither spaces nor `+`, and may not be empty")]
    Name(String),
    /// The text is no verifier key.
    #[error(
        "this is not a key to verify with; it is written NAME+HASH+KEY, \
         as `keygate audit key` prints it"
    )]
    NotAVerifierKey,
    /// The text is no note.
    #[error("this is not a signed note")]
    Malformed,
    /// No signature is by this key.
    #[error("the note is not signed by {0}")]
    NotSigned(String),
    /// A signature by this key is wrong.
    #[error("the signature of {0} does not fit the note")]
    BadSignature(String),
}

/// Makes a private key: PKCS#8 in PEM.
///
/// # Errors
/// If the system gives no randomness.
pub fn generate() -> Result<SecretString, Unspecified> {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
    let text = Zeroizing::new(BASE64.encode(key.as_ref()));
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        // base64 is ASCII
        pem.extend(line.iter().map(|it| char::from(*it)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem.into())
}

/// Makes signed notes. Cheap to clone.
#[derive(Clone)]
pub struct Signer {
    key: Arc<Ed25519KeyPair>,
    verifier: Verifier,
}

impl Signer {
    /// Reads the private key (PKCS#8, PEM) that signs under this name.
    ///
    /// # Errors
    /// [`Error`] if the file can't be read, holds no such key, or the name can't
    /// stand in a note.
    pub fn load(path: &Path, name: &str) -> Result<Self, Error> {
        match pem::private_key(path) {
            Ok(PrivateKeyDer::Pkcs8(key)) => {
                Self::from_pkcs8(key.secret_pkcs8_der(), name, &path.display())
            }
            Err(fault @ pem::Error::Unreadable { .. }) => Err(Error::Unreadable(fault)),
            _ => Err(Error::NotAKey {
                path: path.display().to_string(),
            }),
        }
    }

    fn from_pkcs8(key: &[u8], name: &str, path: &dyn fmt::Display) -> Result<Self, Error> {
        let key = Ed25519KeyPair::from_pkcs8(key);
        let key = key.map_err(|_| Error::NotAKey {
            path: path.to_string(),
        })?;
        let mut public = [0; 32];
        // an Ed25519 public key is 32 bytes long
        public.copy_from_slice(key.public_key().as_ref());
        Ok(Self {
            key: Arc::new(key),
            verifier: Verifier::new(name, public)?,
        })
    }

    /// What verifies its notes.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The note of a text, which has to end with a newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let Verifier { name, id, .. } = &self.verifier;
        let mut signature = id.to_vec();
        signature.extend(self.key.sign(text.as_bytes()).as_ref());
        let signature = BASE64.encode(signature);
        format!("{text}\n{SIGNATURE}{name} {signature}\n")
    }
}

/// Two are the same if the same key verifies what they sign.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.verifier == other.verifier
    }
}

impl Eq for Signer {}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// A public key and its name, written `NAME+HASH+KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: Arc<str>,
    id: [u8; 4],
    key: [u8; 32],
}

impl Verifier {
    /// The Ed25519 key that has this name.
    ///
    /// # Errors
    /// [`Error::Name`] if the name can't stand in a note.
    pub fn new(name: &str, key: [u8; 32]) -> Result<Self, Error> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(Error::Name(name.to_owned()));
        }
        let named = [name.as_bytes(), b"\n", &[ED25519_KEY], &key].concat();
        let digest = digest::digest(&digest::SHA256, &named);
        let mut id = [0; 4];
        id.copy_from_slice(&digest.as_ref()[..4]);
        Ok(Self {
            name: name.into(),
            id,
            key,
        })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key has signed.
    ///
    /// # Errors
    /// [`Error`] if it is no note, or not signed by this key.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, Error> {
        let (text, signatures) = split(note)?;
        let mut signed = false;
        for (name, signature) in signatures {
            let Some((id, signature)) = signature.split_at_checked(4) else {
                return Err(Error::Malformed);
            };
            if name != self.name() || id != self.id {
                continue;
            }
            UnparsedPublicKey::new(&ED25519, self.key)
                .verify(text.as_bytes(), signature)
                .map_err(|_| Error::BadSignature(self.name().to_owned()))?;
            signed = true;
        }
        if signed {
            Ok(text)
        } else {
            Err(Error::NotSigned(self.name().to_owned()))
        }
    }
}

type Signature<'a> = (&'a str, Vec<u8>);

fn split(note: &str) -> Result<(&str, Vec<Signature<'_>>), Error> {
    let printable = |c: char| c == '\n' || !c.is_ascii_control();
    if note.len() > LONGEST || !note.chars().all(printable) {
        return Err(Error::Malformed);
    }
    // the last empty line: a text may have such lines too
    let end = note.rfind("\n\n").ok_or(Error::Malformed)?;
    let (text, signatures) = (&note[..=end], &note[end + 2..]);
    let lines = signatures.strip_suffix('\n').ok_or(Error::Malformed)?;
    let signatures = lines.split('\n').map(|line| {
        let (name, signature) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
        Some((name, BASE64.decode(signature).ok()?))
    });
    let signatures = signatures.collect::<Option<Vec<_>>>();
    Ok((text, signatures.ok_or(Error::Malformed)?))
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519_KEY], self.key.as_slice()].concat();
        let id = u32::from_be_bytes(self.id);
        write!(f, "{}+{id:08x}+{}", self.name, BASE64.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.trim().splitn(3, '+');
        let parsed = (|| {
            let (name, _, key) = (parts.next()?, parts.next()?, parts.next()?);
            let key = BASE64.decode(key).ok()?;
            let (&ED25519_KEY, key) = key.split_first()? else {
                return None;
            };
            Self::new(name, key.try_into().ok()?).ok()
        })();
        // the hash in the middle, too, has to be the one that belongs there
        parsed
            .filter(|it| it.to_string() == text.trim())
            .ok_or(Error::NotAVerifierKey)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    /// A signer whose key is always the same.
    pub(in crate::audit) fn signer(name: &str) -> Signer {
        // the seed of the first test of RFC 8032, section 7.1, in PKCS#8
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let mut key = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        let digits = (0..seed.len()).step_by(2);
        key.extend(digits.map(|at| u8::from_str_radix(&seed[at..at + 2], 16).unwrap()));
        Signer::from_pkcs8(&key, name, &"a test").unwrap()
    }

    #[test]
    fn a_key_that_was_made_can_be_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, generate().unwrap().expose_secret()).unwrap();
        let signer = Signer::load(&path, "a").unwrap();
        let note = signer.sign("text\n");
        assert_eq!(signer.verifier().open(&note).unwrap(), "text\n");
    }

    #[test]
    fn what_it_signs_it_opens() {
        let signer = signer("example.com/log");
        let note = signer.sign("one\n\ntwo\n");
        let verifier: Verifier = signer.verifier().to_string().parse().unwrap();
        assert_eq!(verifier, *signer.verifier());
        assert_eq!(verifier.open(&note).unwrap(), "one\n\ntwo\n");
        let more = format!("{note}— another AAAAAAAA\n");
        assert_eq!(verifier.open(&more).unwrap(), "one\n\ntwo\n");
    }

    #[test]
    fn every_other_bit_is_noticed() {
        let signer = signer("example.com/log");
        let note = signer.sign("text\n");
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else {
                    continue;
                };
                assert!(signer.verifier().open(&text).is_err(), "{at} {bit}: {text}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        let text = signer("example.com/log").verifier().to_string();
        for wrong in [
            "",
            "a+b+c",
            &text.replace("example", "sample"),
            &text.to_uppercase(),
            &text[..text.len() - 2],
        ] {
            assert!(wrong.parse::<Verifier>().is_err(), "{wrong}");
        }
        for name in ["", "a b", "a+b", "a\nb"] {
            assert!(Verifier::new(name, [0; 32]).is_err(), "{name}");
        }
    }
}
