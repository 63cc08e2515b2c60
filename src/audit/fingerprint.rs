//! Fingerprints: what a record holds in a secret's place.
//!
//! A fingerprint is an HMAC-SHA256 under a key that only the trail has. Whoever
//! holds a leaked secret and the trail finds every record about it; whoever holds
//! the records alone learns nothing. Keys have versions and are never thrown
//! away, so that old records stay findable.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use aws_lc_rs::hmac;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A secret's fingerprint, written `v1:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint {
    version: u32,
    mac: [u8; 32],
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.mac) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        let digits = str::from_utf8(&digits).map_err(|_| fmt::Error)?;
        write!(f, "v{}:{digits}", self.version)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint; one is written `v1:` and 64 hexadecimal digits")]
pub struct ParseFingerprintError;

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let (version, digits) = text
            .strip_prefix('v')
            .and_then(|it| it.split_once(':'))
            .ok_or(ParseFingerprintError)?;
        let version = version.parse().map_err(|_| ParseFingerprintError)?;
        let mut mac = [0; 32];
        let digits = digits.as_bytes();
        if digits.len() != 2 * mac.len() {
            return Err(ParseFingerprintError);
        }
        for (byte, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        let parsed = Self { version, mac };
        // Only the one spelling that is written: a fingerprint is searched for as text.
        let mut written = String::with_capacity(text.len());
        write!(written, "{parsed}").map_err(|_| ParseFingerprintError)?;
        if written == text {
            Ok(parsed)
        } else {
            Err(ParseFingerprintError)
        }
    }
}

fn digit(ascii: u8) -> Result<u8, ParseFingerprintError> {
    char::from(ascii)
        .to_digit(16)
        .and_then(|it| u8::try_from(it).ok())
        .ok_or(ParseFingerprintError)
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Makes fingerprints under the trail's retained keys.
#[derive(Clone)]
pub struct Fingerprinter {
    newest: (u32, hmac::Key),
    older: Vec<(u32, hmac::Key)>,
}

/// A key of the trail and its version.
pub(super) type VersionedKey = (u32, Zeroizing<Vec<u8>>);

impl Fingerprinter {
    /// Takes the retained keys, oldest first. `None` if there are none.
    pub(super) fn new(keys: &[VersionedKey]) -> Option<Self> {
        let mut keys: Vec<_> = keys
            .iter()
            .map(|(version, key)| (*version, hmac::Key::new(hmac::HMAC_SHA256, key)))
            .collect();
        let newest = keys.pop()?;
        Some(Self {
            newest,
            older: keys,
        })
    }

    /// The version of the newest key.
    pub(super) fn version(&self) -> u32 {
        self.newest.0
    }

    /// The fingerprint that new records get.
    #[must_use]
    pub fn fingerprint(&self, secret: &str) -> Fingerprint {
        under(&self.newest, secret)
    }

    /// The fingerprints that records may hold, newest key first.
    #[must_use]
    pub fn all(&self, secret: &str) -> Vec<Fingerprint> {
        std::iter::once(&self.newest)
            .chain(self.older.iter().rev())
            .map(|key| under(key, secret))
            .collect()
    }
}

fn under((version, key): &(u32, hmac::Key), secret: &str) -> Fingerprint {
    let tag = hmac::sign(key, secret.as_bytes());
    let mut mac = [0; 32];
    // HMAC-SHA256 is 32 bytes long, whatever its key.
    mac.copy_from_slice(tag.as_ref());
    Fingerprint {
        version: *version,
        mac,
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprinter(v{})", self.newest.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprinter(keys: &[(u32, &[u8])]) -> Fingerprinter {
        let keys: Vec<_> = keys
            .iter()
            .map(|(version, key)| (*version, Zeroizing::new(key.to_vec())))
            .collect();
        Fingerprinter::new(&keys).unwrap()
    }

    #[test]
    fn it_is_the_hmac_of_rfc_4231() {
        let jefe = fingerprinter(&[(1, b"Jefe")]);
        assert_eq!(
            jefe.fingerprint("what do ya want for nothing?").to_string(),
            "v1:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn the_newest_key_is_used_and_all_are_searched() {
        let both = fingerprinter(&[(1, b"old"), (2, b"new")]);
        let old = fingerprinter(&[(1, b"old")]).fingerprint("s");
        assert!(both.fingerprint("s").to_string().starts_with("v2:"));
        assert_eq!(both.all("s"), [both.fingerprint("s"), old]);
    }

    #[test]
    fn it_reads_what_it_writes_and_nothing_else() {
        let one = fingerprinter(&[(7, b"k")]).fingerprint("s");
        assert_eq!(one.to_string().parse(), Ok(one));
        let text = one.to_string();
        for wrong in [
            "",
            "v1",
            "v1:",
            "v1:00",
            &text.to_uppercase(),
            &text.replace("v7", "v07"),
            &text.replace("v7", "v+7"),
            &format!("{text}0"),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
