//! Patterns with `*`, which stands for any run of characters, also for none.
//! There is nothing else in them: no `?`, no classes, no escapes.

/// Whether a text fits a pattern as a whole. Takes time in proportion to the
/// length of both, whatever they hold.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = text.strip_prefix(head).and_then(|it| it.strip_suffix(tail));
    // The leftmost place of each part leaves the most to those that follow.
    inner.is_some_and(|inner| {
        middle
            .split('*')
            .try_fold(inner, |left, part| {
                left.find(part).map(|at| &left[at + part.len()..])
            })
            .is_some()
    })
}

/// Whether a text fits one of the patterns.
pub(crate) fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|it| matches(it, text))
}

/// Whether a pattern is fitted by every text.
pub(crate) fn is_all(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.bytes().all(|it| it == b'*')
}

/// Whether a text fits both patterns. Takes time in proportion to the product of
/// their lengths.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let other: Vec<_> = other.chars().collect();
    // for each end of the other pattern: whether it overlaps with what was read
    let mut ends = vec![false; other.len() + 1];
    ends[0] = true;
    skip(&other, &mut ends);
    for read in one.chars() {
        let mut next = vec![false; ends.len()];
        for (at, _) in ends.iter().enumerate().filter(|(_, it)| **it) {
            match (read, other.get(at)) {
                // what it stands for is what the other goes on with
                ('*', _) => next[at..].fill(true),
                (_, Some('*')) => next[at] = true,
                (read, Some(it)) if read == *it => next[at + 1] = true,
                _ => {}
            }
        }
        skip(&other, &mut next);
        ends = next;
    }
    ends.last() == Some(&true)
}

/// A `*` may stand for nothing.
fn skip(pattern: &[char], ends: &mut [bool]) {
    for (at, it) in pattern.iter().enumerate() {
        if *it == '*' && ends[at] {
            ends[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word for word.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            (['*', rest @ ..], _) => {
                (0..=text.len()).any(|skipped| by_definition(rest, &text[skipped..]))
            }
            ([one, rest @ ..], [first, others @ ..]) => one == first && by_definition(rest, others),
            (_, []) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn it_does_what_the_definition_says(pattern in "[ab*é]{0,8}", text in "[abé]{0,10}") {
            let expected = by_definition(
                &pattern.chars().collect::<Vec<_>>(),
                &text.chars().collect::<Vec<_>>(),
            );
            prop_assert_eq!(matches(&pattern, &text), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn patterns_overlap_where_a_text_fits_both(one in "[ab*]{0,4}", other in "[ab*]{0,4}") {
            // a text that fits both, if there is any, need not be longer than both
            let mut texts = vec![String::new()];
            for at in 0.. {
                let Some(text) = texts.get(at).filter(|it| it.len() < 8).cloned() else { break };
                texts.extend([text.clone() + "a", text + "b"]);
            }
            let expected = texts.iter().any(|it| matches(&one, it) && matches(&other, it));
            prop_assert_eq!(overlap(&one, &other), expected);
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let (pattern, text) = ("*a".repeat(20_000) + "b", "a".repeat(200_000));
        assert!(!matches(&pattern, &text));
        assert!(matches("**", "") && is_all("**") && !is_all("") && !is_all("a*"));
    }
}
