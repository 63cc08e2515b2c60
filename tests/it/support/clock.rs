//! A clock that stands still until it is moved.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use keygate::clock::{Clock, Source};

/// The hand that moves it.
#[derive(Clone)]
pub(crate) struct Hand(Arc<State>);

struct State {
    start: (SystemTime, Instant),
    passed: Mutex<Duration>,
}

/// A clock at the present time, and the hand that moves it.
pub(crate) fn manual() -> (Clock, Hand) {
    let system = Clock::system();
    let hand = Hand(Arc::new(State {
        start: (system.now(), system.instant()),
        passed: Mutex::new(Duration::ZERO),
    }));
    (Clock::from_source(hand.clone()), hand)
}

impl Hand {
    /// Moves it forward.
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.passed.lock().unwrap() += by;
    }
}

impl Source for Hand {
    fn now(&self) -> SystemTime {
        self.0.start.0 + *self.0.passed.lock().unwrap()
    }

    fn instant(&self) -> Instant {
        self.0.start.1 + *self.0.passed.lock().unwrap()
    }
}
