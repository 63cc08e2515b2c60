//! Policy files as nobody should write them. They are read, or refused with
//! every fault at its place, in bounded time.

use proptest::{prelude::*, sample};

use super::{random, *};

/// What a file may hold where it should hold something else.
const ODD: &[&str] = &[
    "",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    "\"",
    "'",
    "\"\"\"",
    "\\",
    "#",
    ",",
    ".",
    "*",
    "\n",
    "\r",
    "\t",
    "\0",
    "é",
    "\u{feff}",
    "\u{202e}",
    "1e999",
    "0x",
    "-0",
    "nan",
    "1979-05-27",
    "true",
    "\"*\"",
    "[]",
    "{}",
    "[[grants]]\n",
    "[deny]\n",
    "[roles.r0]\n",
    "role = 5\n",
    "subjects = [1]\n",
    "rpcs = [\"x\"]\n",
    "upstreams = [\"**\"]\n",
    "names = [[[]]]\n",
    "grants.x = 1\n",
    "deny.subjects = {}\n",
    "a.b.c.d = 1\n",
    "\"\" = \"\"\n",
];

/// A change of a text: at a place, so much is taken away, and that comes there.
pub(super) type Change = (sample::Index, usize, String);

pub(super) fn change() -> impl Strategy<Value = Change> {
    let odd = sample::select(ODD).prop_map(str::to_owned);
    let what = prop_oneof![4 => odd, 1 => "\\PC{0,8}"];
    (any::<sample::Index>(), 0..12_usize, what)
}

pub(super) fn changed(text: &str, changes: &[Change]) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for (at, gone, what) in changes {
        let begin = at.index(letters.len() + 1);
        let end = (begin + gone).min(letters.len());
        letters.splice(begin..end, what.chars());
    }
    letters.into_iter().collect()
}

/// Reads it, if it is a policy, and holds its faults against what is promised of them.
pub(super) fn read(text: &str) -> Result<Option<Policy>, TestCaseError> {
    let faults = match Policy::parse(text, &CONTRACT) {
        Ok(policy) => return Ok(Some(policy)),
        Err(faults) => faults,
    };
    let lines = text.matches('\n').count() + 1;
    prop_assert!(!faults.0.is_empty());
    for fault in faults.0 {
        let line = fault.line.unwrap_or_default();
        prop_assert!((1..=lines).contains(&line), "{fault} of {lines} lines");
        prop_assert!(!fault.message.is_empty());
    }
    Ok(None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        read(&text)?;
    }

    #[test]
    fn a_policy_that_was_tampered_with_is_read_or_refused(
        text in random::text(), changes in prop::collection::vec(change(), 1..6),
    ) {
        read(&changed(&text.write(), &changes))?;
    }

    #[test]
    fn a_part_of_a_policy_is_read_or_refused(text in random::text(), cut: sample::Index) {
        let text = text.write();
        read(&text[..cut.index(text.len() + 1)])?;
    }
}

#[test]
fn what_is_deep_or_long_is_refused_in_time() {
    let many = 20_000;
    for text in [
        "x = ".to_owned() + &"[".repeat(many),
        "x = ".to_owned() + &"{a=".repeat(many),
        "[".to_owned() + &"a.".repeat(many) + "a]",
        "a.".repeat(many) + "a = 1",
        "[deny]\nrpcs = [\"".to_owned() + &"*a".repeat(many) + "\"]",
        "[deny]\nupstreams = [\"".to_owned() + &"*/".repeat(many) + "\"]",
        "[[grants]]\n".repeat(many),
        "[deny]\nrpcs = [".to_owned() + &"\"x\",".repeat(many) + "]",
    ] {
        assert!(Policy::parse(&text, &CONTRACT).is_err(), "{}", &text[..20]);
    }
}
