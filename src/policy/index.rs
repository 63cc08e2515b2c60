//! Many patterns, and which of them a text fits.
//!
//! What is looked at grows with the patterns that could fit, not with all: those
//! without a `*` are found by their text, the others by what stands before their
//! first one.

use std::{collections::HashMap, iter};

use crate::glob;

/// Patterns, each with a number.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<String, Vec<usize>>,
    /// By their text.
    prefixes: Vec<Prefix>,
}

/// The patterns that begin in the same way.
#[derive(Debug)]
struct Prefix {
    /// What stands before their first `*`.
    text: String,
    /// The place of the longest other prefix that this one begins with.
    shorter: Option<usize>,
    patterns: Vec<(String, usize)>,
}

impl FromIterator<(String, usize)> for Index {
    fn from_iter<I: IntoIterator<Item = (String, usize)>>(all: I) -> Self {
        let mut index = Self::default();
        let mut patterns = Vec::new();
        for (pattern, number) in all {
            match pattern.find('*') {
                Some(end) => patterns.push((end, pattern, number)),
                None => index.exact.entry(pattern).or_default().push(number),
            }
        }
        patterns.sort_by(|(a, first, _), (b, second, _)| first[..*a].cmp(&second[..*b]));
        // the prefixes that the one at hand may begin with, shortest first
        let mut open: Vec<usize> = Vec::new();
        for (end, pattern, number) in patterns {
            let text = &pattern[..end];
            let prefixes = &mut index.prefixes;
            if prefixes.last().is_none_or(|it| it.text != text) {
                open.retain(|at| text.starts_with(&prefixes[*at].text));
                prefixes.push(Prefix {
                    text: text.to_owned(),
                    shorter: open.last().copied(),
                    patterns: Vec::new(),
                });
                open.push(prefixes.len() - 1);
            }
            if let Some(prefix) = prefixes.last_mut() {
                prefix.patterns.push((pattern, number));
            }
        }
        index
    }
}

impl Index {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// The numbers of the patterns that a text fits, in no order.
    pub(super) fn fitting<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let exact = self.exact.get(text).into_iter().flatten().copied();
        // All that a text begins with stands at or before its own place, and the
        // last of these begins with all the others.
        let behind = self.prefixes.partition_point(|it| it.text.as_str() <= text);
        let candidates = iter::successors(behind.checked_sub(1), |at| self.prefixes[*at].shorter);
        let candidates = candidates
            .map(|at| &self.prefixes[at])
            .filter(|it| text.starts_with(&it.text))
            .flat_map(|it| &it.patterns);
        let fitting = candidates
            .filter(|(pattern, _)| glob::matches(pattern, text))
            .map(|(_, number)| *number);
        exact.chain(fitting)
    }

    /// The lowest number of a pattern that a text fits.
    pub(super) fn first(&self, text: &str) -> Option<usize> {
        self.fitting(text).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_finds_what_fits_and_nothing_else(
            patterns in prop::collection::vec("[ab*é]{0,5}", 0..30),
            text in "[abé]{0,6}",
        ) {
            let index: Index = patterns.iter().cloned().zip(0..).collect();
            let mut found: Vec<_> = index.fitting(&text).collect();
            found.sort_unstable();
            let fits = |at: &usize| glob::matches(&patterns[*at], &text);
            let expected: Vec<_> = (0..patterns.len()).filter(fits).collect();
            prop_assert_eq!(index.first(&text), expected.first().copied());
            prop_assert_eq!(found, expected);
        }
    }
}
