//! Files of settings: TOML, read setting by setting, with every fault collected
//! on the way.
//!
//! [`Document::read`] hands on the root [`Table`]. A table is asked for its
//! settings by name; a setting that nothing asked for is a fault. A read that
//! finds a fault reports it and gives `None`, so that a caller reads all it needs
//! before it gives up. All [`Faults`] are told together, each with the path of
//! its setting and its line. No message repeats a value unless a [`Read`] puts it
//! there: a value may be a misplaced secret.
//!
//! This module does not know what any file is about.

mod document;
mod fault;
mod item;
mod table;

pub use self::{
    document::Document,
    fault::{Fault, Faults},
    item::{Item, Read},
    table::Table,
};

/// The name that was probably meant by a word, if one is near.
pub fn closest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A third of the letters, and no more than two, may be off; never all.
    let is_near = |distance: usize, name: &str| {
        let letters = name.chars().count();
        distance < letters && distance <= letters.div_ceil(3).min(2)
    };
    // Where lengths are further apart, so are the words.
    let length = word.chars().count();
    let may_be_near = |name: &&str| name.chars().count().abs_diff(length) <= 2;
    names
        .into_iter()
        .filter(may_be_near)
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .min()
        .filter(|(distance, name)| is_near(*distance, name))
        .map(|(_, name)| name)
}

/// Names as a sentence lists them: `a`, `b`.
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|it| format!("`{it}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_is_taken_for_a_name() {
        let names = ["role", "claim", "subject", "ca", "x"];
        for (word, meant) in [
            ("rloe", Some("role")),
            ("claims", Some("claim")),
            ("subjetc", Some("subject")),
            ("cs", Some("ca")),
            ("object", Some("subject")),
            ("y", None),
            ("rules", Some("role")),
            ("permission", None),
            ("", None),
        ] {
            assert_eq!(closest(word, names), meant, "{word}");
        }
        assert_eq!(closest("role", []), None);
    }
}
