//! Attempts that are under way, and go on whatever else is waited for.

use std::{collections::VecDeque, pin::pin};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

/// Attempts that are under way.
///
/// One that is left alone may have been given a place among those who read the trail,
/// or be the one by whom the others of a batch are told: who waited for that meanwhile
/// would wait for ever. So nothing is awaited but [`beside`](Self::beside) them.
pub(super) struct Attempts<F: Future> {
    under_way: FuturesUnordered<F>,
    ended: VecDeque<F::Output>,
}

impl<F: Future> Attempts<F> {
    pub(super) fn new() -> Self {
        Self {
            under_way: FuturesUnordered::new(),
            ended: VecDeque::new(),
        }
    }

    /// Begins more of them.
    pub(super) fn begin(&mut self, more: impl Iterator<Item = F>) {
        self.under_way.extend(more);
    }

    /// What came of the next that ends; `None` if none is under way.
    pub(super) async fn next(&mut self) -> Option<F::Output> {
        match self.ended.pop_front() {
            Some(ended) => Some(ended),
            None => self.under_way.next().await,
        }
    }

    /// Does something else while they go on.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(ended) = self.under_way.next() => self.ended.push_back(ended),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn who_waits_behind_them_gets_its_turn() {
        let places = Semaphore::new(1);
        let attempt = |number: u32| {
            let places = &places;
            async move {
                let _place = places.acquire().await.unwrap();
                number
            }
        };
        let mut attempts = Attempts::new();
        let taken = places.acquire().await.unwrap();
        attempts.begin((0..3).map(attempt));
        // they wait in line by now
        assert_eq!(attempts.next().now_or_never(), None);
        drop(taken);
        drop(attempts.beside(places.acquire()).await.unwrap());
        let mut ended = Vec::new();
        while let Some(it) = attempts.next().await {
            ended.push(it);
        }
        assert_eq!(ended, [0, 1, 2]);
    }
}
