//! Policy files that are grown at random, for a bounded time: from good ones, by
//! lines and letters that come, go and change places.
//!
//! Whatever is read does not panic, says what is wrong where it is, and is a policy
//! only if it permits what its words permit, by the opinion of a referee that has
//! none of its code, and nothing else. It runs for `KEYGATE_FUZZ_SECONDS`; 3 if that
//! is not set.

use std::{cell::RefCell, collections::BTreeMap, env};

use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};

use super::{
    hostile::{Change, change, changed, read},
    properties::answers,
    random::{self, Call, call},
    referee, *,
};

/// Lines that mean something somewhere.
const LINES: &[&str] = &[
    "[deny]",
    "[roles.r1]",
    "[roles.\"r2\"]",
    "[roles.r3]",
    "[[grants]]",
    "role = \"r1\"",
    "role = 'r0'",
    "role = \"r3\"",
    "claim = \"one\"",
    "claim = \"\"",
    "subject = \"*\"",
    "subject = \"\"\"bob\"\"\"",
    "subject = \"b\\u006fb\"",
    "issuer = \"https://issuer.example\"",
    "issuer = \"*\"",
    "certificate = \"WWW.example.*\"",
    "certificate = \"\"",
    "permissions = [\"*\"]",
    "permissions = [\"api_keys_read\",]",
    "upstreams = [\"*/*/*\"]",
    "upstreams = [\"d*/us1\"]",
    "upstreams = []",
    "names = [\"\"]",
    "names = [\"**\"]",
    "keys = \"any\"",
    "keys = \"own\"",
    "reveal = true",
    "allow_unscoped = true",
    "max_scopes = [\"**\"]",
    "subjects = [\"*\"]",
    "token_ids = [\"\"]",
    "rpcs = [\"*\"]",
    "rpcs = [\"*/List*\"]",
    "# \"",
    "",
];

/// A change of the lines.
#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, &'static str),
    Remove(Index),
    Move(Index, Index),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), select(LINES)).prop_map(|(at, line)| Edit::Insert(at, line)),
        2 => at().prop_map(Edit::Remove),
        2 => (at(), at()).prop_map(|(from, to)| Edit::Move(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    for edit in edits {
        let place = |at: &Index, len| at.index(len + 1);
        match edit {
            Edit::Insert(at, line) => lines.insert(place(at, lines.len()), line),
            _ if lines.is_empty() => {}
            Edit::Remove(at) => drop(lines.remove(at.index(lines.len()))),
            Edit::Move(from, to) => {
                let line = lines.remove(from.index(lines.len()));
                lines.insert(place(to, lines.len()), line);
            }
            Edit::Repeat(from, to) => {
                let line = lines[from.index(lines.len())];
                lines.insert(place(to, lines.len()), line);
            }
        }
    }
    lines.join("\n")
}

fn grown() -> impl Strategy<Value = String> {
    let letters = prop_oneof![
        4 => Just(Vec::<Change>::new()),
        1 => prop::collection::vec(change(), 1..3),
    ];
    let lines = prop::collection::vec(edit(), 0..5);
    (random::text(), lines, letters)
        .prop_map(|(text, lines, letters)| changed(&edited(&text.write(), &lines), &letters))
}

#[test]
fn grown_policies_permit_what_their_words_permit_and_nothing_else() {
    let seconds = env::var("KEYGATE_FUZZ_SECONDS").map_or(3, |it| it.parse().unwrap());
    let clock = Clock::system();
    let until = clock.instant() + Duration::from_secs(seconds);
    let config = Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    };
    let reached = RefCell::new(BTreeMap::<&str, u32>::new());
    let reach = |what| *reached.borrow_mut().entry(what).or_default() += 1;
    let test = |(text, calls): (String, Vec<Call>)| {
        let Some(policy) = read(&text)? else {
            reach("refused");
            return Ok(());
        };
        reach("read");
        for call in calls {
            let given = answers(&policy, &call);
            let expected = referee::answers(&text, &call);
            prop_assert_eq!(Some(given), expected, "{:?}\n{}", call, text);
            reach(if given[0] { "permitted" } else { "denied" });
            if given[4] {
                reach("permitted with a change of a key");
            }
        }
        Ok(())
    };
    let strategy = (grown(), prop::collection::vec(call(), 1..8));
    let mut rounds = 0;
    while rounds == 0 || clock.instant() < until {
        // a runner of its own for each round: it seeds itself, and counts to 64 once
        if let Err(fault) = TestRunner::new(config.clone()).run(&strategy, test) {
            panic!("{fault}");
        }
        rounds += 1;
    }
    let reached = reached.into_inner();
    println!("{} policies: {reached:#?}", rounds * config.cases);
    assert_eq!(reached.len(), 5, "it hardly reaches anything: {reached:?}");
}
