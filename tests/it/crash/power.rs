//! The power is cut at any moment: whatever the disk had not synced by then is
//! lost, torn or reordered, and nothing is that anyone was told.

mod image;
mod promises;

use std::{fs, path::Path};

use keygate::{
    audit::{
        Kind, Location, ORIGIN, Outcome, Settings, Stored, Trail,
        verify::{Evidence, verify},
    },
    clock::Clock,
    random::Random,
};
use rusqlite::Connection;

use self::{
    image::{Disk, Loss},
    promises::{Promises, Session, address},
};
use super::{below, books, callers::Callers, seeded, setting};
use crate::support::{
    disk::{self, Event, Part},
    gateway::Client,
    serve::{Gateway, Setup, until},
    served::{MAIN, SANDBOX_POLICY},
    upstreams::{Place, Upstreams},
};

/// How many cuts are as many as anyone waits for; `.ci/run` asks for more.
const CUTS: u64 = 200;

/// Callers in a session.
const CALLERS: usize = 32;

/// What happened in some sessions of a server, and the trail that they left.
struct History {
    events: Vec<Event>,
    sessions: Vec<Session>,
    trail: Vec<Stored>,
    setup: Setup,
    _upstreams: Upstreams,
}

impl History {
    /// Calls, and ends the server, in all the ways there are.
    async fn record(random: &Random) -> Self {
        let upstreams = Upstreams::start(Place::everywhere(MAIN)).await;
        let setup = Setup::new("", &upstreams.config).await;
        setup.write("policy.toml", SANDBOX_POLICY);
        let path = setup.folder.path().join("trail.db");
        let notes = tempfile::tempdir().unwrap();
        let disk = disk::Disk::below(&path, notes.path()).with_log(notes.path());
        let callers = Callers::new(setup.token());
        let mut sessions: Vec<Session> = Vec::new();
        // ended in order; killed, once the log has been moved; after a crash
        for (answers, in_order, moved) in
            [(120, true, false), (500, false, true), (80, false, false)]
        {
            let file = fs::metadata(&path).map_or(0, |it| it.len());
            let from = sessions.last().map_or(0, |it| it.events.end);
            let environment = disk.environment();
            let mut gateway = Gateway::start_in(&setup.config(), environment).await;
            let server = gateway.grpc;
            let from_own =
                |it: usize| Client::with(server, |to| to.local_address(Some(address(it).into())));
            let calls = callers.start(CALLERS, from_own, random);
            until("so many answers", || {
                (callers.count() >= answers).then_some(())
            })
            .await;
            if moved {
                // it grows by that alone
                until("the log to be moved", || {
                    let grown = fs::metadata(&path).is_ok_and(|it| it.len() > file);
                    grown.then_some(())
                })
                .await;
            }
            if in_order {
                assert_eq!(gateway.process.terminate(), Some(0));
            } else {
                disk.kill(&mut gateway.process);
            }
            calls.join_all().await;
            sessions.push(Session {
                events: from..disk.history().len(),
                told: callers.told(),
            });
        }
        let events = disk.history();
        let second = &events[sessions[1].events.clone()];
        let is_checkpoint = |it: &Event| matches!(it, Event::Synced(Part::Main));
        assert!(second.iter().any(is_checkpoint), "the log was never moved");
        assert!(events.contains(&Event::Truncated(Part::Wal, 0)));
        Self {
            events,
            sessions,
            trail: books::records(&path, None),
            setup,
            _upstreams: upstreams,
        }
    }

    /// Moments at which the power is cut, in their order: about half of them just
    /// after something was told.
    fn moments(&self, promises: &Promises, cuts: u64, random: &Random) -> Vec<usize> {
        let told = promises.events();
        let some = |end: usize| usize::try_from(below(random, end as u64)).unwrap();
        let moments = (0..cuts).map(|cut| match cut % 2 {
            0 => told[some(told.len())] + 1,
            _ => some(self.events.len()),
        });
        let mut moments: Vec<_> = moments.collect();
        moments.sort_unstable();
        moments
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_loses_what_anyone_was_told() {
    let cuts = setting("KEYGATE_POWER_CUTS").unwrap_or(CUTS);
    let seed = setting("KEYGATE_CRASH_SEED").unwrap_or_else(|| below(&Random::system(), 1000));
    println!("{cuts} cuts from seed {seed}: KEYGATE_POWER_CUTS and KEYGATE_CRASH_SEED set them");
    let random = seeded(seed);
    let history = History::record(&random).await;
    let promises = Promises::new(&history.events, &history.sessions, &history.trail);
    let started = Clock::system().instant();
    let (mut disk, mut at) = (Disk::default(), 0);
    let mut gone = 0;
    for (cut, moment) in history
        .moments(&promises, cuts, &random)
        .into_iter()
        .enumerate()
    {
        history.events[at..moment]
            .iter()
            .for_each(|it| disk.follow(it));
        at = moment;
        let loss = Loss::KINDS[cut % Loss::KINDS.len()];
        let folder = tempfile::tempdir().unwrap();
        let trail = folder.path().join("trail.db");
        disk.after_a_cut(&trail, loss, &random);
        if cut % 20 == 0 {
            starts(&history.setup, &trail).await;
        }
        let needed = promises.needed(moment);
        let what = format!("seed {seed}, cut {cut} before event {moment}, lost: {loss:?}");
        match check(&trail, &history.trail, needed).await {
            Ok(left) => gone += usize::from(left < history.trail.len()),
            Err(broken) => panic!("{what}: {broken}"),
        }
    }
    println!(
        "{cuts} cuts in {:?}; {gone} trails were shorter than the last",
        started.elapsed()
    );

    // the same on a disk that lies about syncing: that has to show
    let (mut disk, mut at, mut found) = (Disk::lying(), 0, 0);
    for moment in history.moments(&promises, 10, &random) {
        history.events[at..moment]
            .iter()
            .for_each(|it| disk.follow(it));
        at = moment;
        let folder = tempfile::tempdir().unwrap();
        let trail = folder.path().join("trail.db");
        disk.after_a_cut(&trail, Loss::Some, &random);
        let needed = promises.needed(moment);
        found += usize::from(check(&trail, &history.trail, needed).await.is_err());
    }
    assert!(
        found >= 5,
        "a disk that syncs nothing was found {found} times of 10"
    );
}

/// Opens a trail as a server does, and compares it with what it was to become.
async fn check(path: &Path, whole: &[Stored], needed: u64) -> Result<usize, String> {
    let settings = Settings {
        store: Location::Sqlite(path.to_owned()),
        origin: ORIGIN.to_owned(),
        signer: None,
    };
    let trail = Trail::open(&settings, Clock::system(), Random::system());
    let trail = trail.map_err(|it| format!("it can't be opened: {it:?}"))?;
    trail
        .close()
        .await
        .map_err(|it| format!("it can't be closed: {it:?}"))?;
    let found = books::records(path, None);
    // what was written, as it was written …
    let same = found
        .iter()
        .zip(whole)
        .take_while(|(one, other)| one.body == other.body);
    let same = same.count();
    if (same as u64) < needed {
        let missing = &whole[same].record;
        return Err(format!("{same} of {needed} records are left: {missing:#?}"));
    }
    // … and an end for every call that was under way
    let mut open: Vec<_> = Vec::new();
    for Stored { record, .. } in &found[..same] {
        match record.kind {
            Kind::Intent => open.push((&record.call, &record.resource)),
            _ => open.retain(|(call, _)| *call != &record.call),
        }
    }
    for Stored { record, .. } in &found[same..] {
        let of = open.iter().position(|(call, _)| *call == &record.call);
        if record.outcome != Some(Outcome::Unknown) || of.is_none() {
            return Err(format!("nobody has written this: {record:#?}"));
        }
        open.remove(of.unwrap_or_default());
    }
    if !open.is_empty() {
        return Err(format!("not ended: {open:?}"));
    }
    let report = verify(&settings, &Evidence::default(), &mut |_, _| {});
    let report = report.map_err(|it| format!("it can't be verified: {it:?}"))?;
    if !report.holds() {
        return Err(format!("{:?}", report.findings));
    }
    let database = Connection::open(path).unwrap();
    let fine: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    if fine == "ok" { Ok(same) } else { Err(fine) }
}

/// The server starts on it.
async fn starts(setup: &Setup, trail: &Path) {
    let text = fs::read_to_string(setup.config()).unwrap();
    let there = format!("sqlite:{}", trail.display());
    let text = text.replace("sqlite:trail.db", &there);
    let config = setup.write("after-a-cut.toml", &text);
    let mut gateway = Gateway::start(&config).await;
    gateway.process.kill();
}
