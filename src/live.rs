//! What can change while keygate runs: a value that is replaced as a whole.

use std::sync::Arc;

use tokio::sync::watch;

/// A shared place for a value. Cheap to clone; all clones see the same one.
#[derive(Debug)]
pub struct Live<T>(watch::Sender<Arc<T>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Live<T> {
    /// Begins with that value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(watch::Sender::new(Arc::new(value)))
    }

    /// The value that holds now. Whoever has to see one and the same value to the
    /// end keeps it.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts another value in its place, for all that begins from now on.
    pub fn replace(&self, value: T) {
        self.0.send_replace(Arc::new(value));
    }

    /// Tells of every replacement from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<T>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_see_a_replacement_and_who_began_before_keeps_what_it_had() {
        let live = Live::new("old");
        let (before, changes) = (live.current(), live.changes());
        live.clone().replace("new");
        assert_eq!((*before, *live.current()), ("old", "new"));
        assert!(changes.has_changed().unwrap());
    }
}
