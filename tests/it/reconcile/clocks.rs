//! Upstream's clock shows another time than ours: what it dates is set right.

use std::time::Duration;

use super::{
    Bench,
    contention::{CREATES, named, newest},
    finding,
};
use crate::support::{
    clock::{Lag, behind, running},
    served::MAIN,
    upstreams::Place,
    vendors,
};

/// How much it is wrong, and how long before the calls other keys are made: by a clock
/// that is so much ahead they are of the calls' time.
const MINUTES: Duration = Duration::from_secs(4 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn by_a_clock_that_is_behind_or_ahead_each_call_has_its_own_key() {
    let ahead = || {
        let (clock, lag) = running();
        lag.advance(MINUTES);
        (clock, lag)
    };
    tokio::join!(told_rightly(|| behind(MINUTES)), told_rightly(ahead));
}

async fn told_rightly(wrong: impl Fn() -> (keygate::clock::Clock, Lag)) {
    let (mut places, mut lags) = (Vec::new(), Vec::new());
    for vendor in vendors::ALL {
        let (clock, lag) = wrong();
        places.push(Place::new(vendor, MAIN).with_clock(clock));
        lags.push(lag);
    }
    let bench = Bench::with(places).await;
    lags.iter().for_each(|it| it.retard(MINUTES));
    for (method, _) in CREATES {
        for name in ["not made", "made"] {
            bench.outsider_makes(method, name).await;
        }
    }
    lags.iter().for_each(|it| it.advance(MINUTES));
    let mut calls = Vec::new();
    for (method, field) in CREATES {
        for (name, apply) in [("not made", false), ("made", true), ("made alone", true)] {
            let request = named(&bench, method, field, name);
            let call = bench.lose(method, &request, apply).await;
            let made = apply.then(|| newest(&bench.simulator(method).state(), name));
            let finding = if apply { "applied" } else { "not_applied" };
            calls.push((call, finding, made));
        }
    }
    let told = bench.reconciled().await;
    for (call, expected, id) in &calls {
        let found = finding(&told, call);
        assert_eq!(found, (*expected, id.as_deref()), "{:#}", told[call][0]);
    }
}
