//! Reading a trail that is open for writing, beside whatever else is done.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

use super::{Error, Reader, Trail};

/// How many read at the same time. Others wait.
const AT_ONCE: usize = 4;

/// Readers that are open and not in use.
pub(super) struct Readers {
    idle: Mutex<Vec<Reader>>,
    places: Arc<Semaphore>,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl Readers {
    fn take(&self) -> Option<Reader> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn put_back(&self, reader: Reader) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(reader);
    }
}

impl Trail {
    /// Looks something up, on a thread where that may take a while. What was
    /// acknowledged before is seen.
    ///
    /// Whoever waits has to keep polling until this returns, or drop it: it may have
    /// been given a place that others wait for.
    ///
    /// # Errors
    /// Whatever `look` says, and [`Error`] if the trail can't be read.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        // never closed, so that there is a place in the end
        let place = self.readers().places.clone().acquire_owned().await;
        let trail = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let readers = trail.readers();
            let reader = readers.take().map_or_else(|| trail.reader(), Ok)?;
            let found = look(&reader);
            if found.is_ok() {
                readers.put_back(reader);
            }
            // whoever asked may have gone before
            drop(place);
            found
        });
        looking.await.unwrap_or(Err(Error::ThreadEnded))
    }
}
