//! Tokens that were verified, so that a caller's next call costs a digest.
//!
//! Bounded: two generations of half the size each. A token that is used moves
//! to the young one; when that is full, the old one is forgotten. Whether an
//! entry still holds (`exp`, the issuer's keys) is for the reader to check.

use std::{
    collections::HashMap,
    fmt,
    mem::take,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Caller, keys::KeySet};

/// A token's SHA-256: the token itself is not kept.
pub(super) type Id = [u8; 32];

/// What verification found.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) caller: Arc<Caller>,
    /// The issuer's place among the settings.
    pub(super) issuer: usize,
    /// The keys that it was verified with.
    pub(super) keys: Arc<KeySet>,
}

pub(super) struct Cache {
    half: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Id, Verified>,
    old: HashMap<Id, Verified>,
}

impl Cache {
    /// A cache for at most that many tokens.
    pub(super) fn new(size: usize) -> Self {
        Self {
            half: size / 2,
            generations: Mutex::default(),
        }
    }

    pub(super) fn get(&self, id: &Id) -> Option<Verified> {
        let mut both = self.lock();
        if let Some(found) = both.young.get(id) {
            return Some(found.clone());
        }
        let found = both.old.remove(id)?;
        both.insert(self.half, *id, found.clone());
        Some(found)
    }

    pub(super) fn insert(&self, id: Id, verified: Verified) {
        self.lock().insert(self.half, id, verified);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        // Both maps are whole at every point where a panic could come.
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, half: usize, id: Id, verified: Verified) {
        if self.young.len() >= half && !self.young.contains_key(&id) {
            self.old = take(&mut self.young);
        }
        self.young.insert(id, verified);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn verified() -> Verified {
        Verified {
            caller: Arc::new(Caller {
                issuer: "https://issuer.example".to_owned(),
                subject: "somebody".to_owned(),
                claims: Vec::new(),
                token_id: None,
                expires_at: SystemTime::UNIX_EPOCH,
                certificate_names: Arc::default(),
            }),
            issuer: 0,
            keys: Arc::new(KeySet::default()),
        }
    }

    fn id(number: u16) -> Id {
        let mut id = Id::default();
        id[..2].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn it_never_holds_more_than_its_size() {
        let cache = Cache::new(100);
        for number in 0..1000 {
            cache.insert(id(number), verified());
            cache.get(&id(number / 2));
            let both = cache.lock();
            assert!(both.young.len() + both.old.len() <= 100);
        }
    }

    #[test]
    fn what_is_used_stays() {
        let cache = Cache::new(100);
        cache.insert(id(0), verified());
        for number in 1..1000 {
            cache.insert(id(number), verified());
            assert!(cache.get(&id(0)).is_some(), "{number}");
        }
        assert!(cache.get(&id(1)).is_none());
    }
}
