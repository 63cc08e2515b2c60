//! Patterns with `*`, which stands for any run of characters, also for none.
//! There is nothing else in them: no `?`, no classes, no escapes.

/// Whether a text fits a pattern as a whole. Takes time in proportion to the
/// length of both, whatever they hold.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
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
pub(super) fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|it| matches(it, text))
}

/// Whether a pattern is fitted by every text.
pub(super) fn is_all(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.bytes().all(|it| it == b'*')
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

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let (pattern, text) = ("*a".repeat(20_000) + "b", "a".repeat(200_000));
        assert!(!matches(&pattern, &text));
        assert!(matches("**", "") && is_all("**") && !is_all("") && !is_all("a*"));
    }
}
