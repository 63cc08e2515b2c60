//! The Merkle tree over records, as RFC 6962 (section 2.1) defines it.
//!
//! Leaves are the exact bytes of records, in the order of their commits. The tree
//! only grows at its right edge, so a [`Frontier`] of a few hashes is all that a
//! writer holds. Proofs are made from the roots of complete subtrees, wherever
//! these are kept ([`Hashes`]); this module knows no store.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

pub mod proof;

/// A SHA-256 hash in the tree, written in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of a leaf: of a record's exact bytes.
    #[must_use]
    pub fn leaf(record: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[0]);
        context.update(record);
        Self::of(&context.finish())
    }

    /// The hash of a node with these two below it.
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut node = [1; 65];
        node[1..33].copy_from_slice(&left.0);
        node[33..].copy_from_slice(&right.0);
        Self::of(&digest(&SHA256, &node))
    }

    /// The root of the tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(&digest(&SHA256, &[]))
    }

    fn of(digest: &Digest) -> Self {
        let mut hash = [0; 32];
        // SHA-256 is 32 bytes long.
        hash.copy_from_slice(digest.as_ref());
        Self(hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hash; one is written as 32 bytes in base64")]
pub struct ParseHashError;

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let bytes = BASE64.decode(text).map_err(|_| ParseHashError)?;
        bytes.as_slice().try_into()
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = ParseHashError;

    fn try_from(bytes: &[u8]) -> Result<Self, ParseHashError> {
        bytes.try_into().map(Self).map_err(|_| ParseHashError)
    }
}

/// So many levels of the tree lie between two that are stored: roots of complete
/// subtrees are kept for 256 leaves, for 256 × 256, and so on.
pub(super) const STORED_HEIGHT: u32 = 8;

/// The root of a complete subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// Its height: it has `2^height` leaves.
    pub height: u32,
    /// Which of this height it is, counted from the left from 0.
    pub index: u64,
    /// Its root.
    pub hash: Hash,
}

impl Subtree {
    /// The number of its stored level; `None` if its height is none that is stored.
    pub(super) fn stored_level(&self) -> Option<u32> {
        (self.height > 0 && self.height.is_multiple_of(STORED_HEIGHT))
            .then_some(self.height / STORED_HEIGHT)
    }
}

/// Where the roots of complete subtrees come from.
pub trait Hashes {
    /// What goes wrong there.
    type Error;

    /// The root of the complete subtree of this height, counted from the left.
    ///
    /// # Errors
    /// Whatever goes wrong where they are kept.
    fn subtree(&self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The right edge of a tree: the roots of the fewest complete subtrees that make
/// it up, the largest first. Enough to add leaves and to tell the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the tree with so many leaves.
    ///
    /// # Errors
    /// Whatever goes wrong where the hashes are kept.
    pub fn of<H: Hashes>(hashes: &H, size: u64) -> Result<Self, H::Error> {
        let roots = decompose(size).map(|(height, index)| hashes.subtree(height, index));
        Ok(Self {
            size,
            roots: roots.collect::<Result<_, _>>()?,
        })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and tells of every subtree that it completes.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(Subtree)) {
        let (mut hash, mut height) = (leaf, 0);
        let mut index = self.size;
        while index % 2 == 1 {
            let Some(left) = self.roots.pop() else { break };
            hash = Hash::node(&left, &hash);
            height += 1;
            index /= 2;
            completed(Subtree {
                height,
                index,
                hash,
            });
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the whole tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(&last) = roots.next() else {
            return Hash::empty();
        };
        roots.fold(last, |right, left| Hash::node(left, &right))
    }
}

/// The largest complete subtrees of a tree of this size, from the left, each by its
/// height and its index.
fn decompose(size: u64) -> impl Iterator<Item = (u32, u64)> {
    (0..u64::BITS)
        .rev()
        .filter(move |height| size >> height & 1 == 1)
        .map(move |height| (height, (size >> height) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_of_the_rfc() {
        let hex = |hash: Hash| {
            let digits = hash.0.iter().map(|byte| format!("{byte:02x}"));
            digits.collect::<String>()
        };
        // SHA-256 of nothing, and of the one byte 00
        assert_eq!(
            hex(Hash::empty()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(Hash::leaf(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(Hash::leaf(b"x").to_string().parse(), Ok(Hash::leaf(b"x")));
    }
}
