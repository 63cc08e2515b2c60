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
    let hand = Hand::at(Clock::system().now());
    (hand.clock(), hand)
}

impl Hand {
    /// The hand of a clock at that time of day.
    pub(crate) fn at(now: SystemTime) -> Self {
        Self(Arc::new(State {
            start: (now, Clock::system().instant()),
            passed: Mutex::new(Duration::ZERO),
        }))
    }

    /// A clock that it moves.
    pub(crate) fn clock(&self) -> Clock {
        Clock::from_source(self.clone())
    }

    /// How many can ask a clock of its, and it.
    pub(crate) fn users(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Moves it forward.
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.passed.lock().unwrap() += by;
    }
}

/// A clock that runs, and the hand that sets it. It begins with that much behind.
pub(crate) fn behind(by: Duration) -> (Clock, Lag) {
    let lag = Lag::default();
    lag.0.lock().unwrap().behind = by;
    (Clock::from_source(lag.clone()), lag)
}

/// A clock that runs, and the hand that sets it. It begins at the present time.
pub(crate) fn running() -> (Clock, Lag) {
    behind(Duration::ZERO)
}

/// How much a clock is behind or before.
#[derive(Clone, Default)]
pub(crate) struct Lag(Arc<Mutex<Off>>);

#[derive(Default)]
struct Off {
    behind: Duration,
    ahead: Duration,
}

impl Lag {
    /// Sets the clock right.
    pub(crate) fn make_up(&self) {
        *self.0.lock().unwrap() = Off::default();
    }

    /// Moves it forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.0.lock().unwrap().ahead += by;
    }

    /// Sets it back.
    pub(crate) fn retard(&self, by: Duration) {
        self.0.lock().unwrap().behind += by;
    }
}

impl Source for Lag {
    fn now(&self) -> SystemTime {
        let off = self.0.lock().unwrap();
        Clock::system().now() - off.behind + off.ahead
    }

    fn instant(&self) -> Instant {
        Clock::system().instant() + self.0.lock().unwrap().ahead
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
