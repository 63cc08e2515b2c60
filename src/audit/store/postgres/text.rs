//! Texts as PostgreSQL can keep them: all of Unicode but NUL.
//!
//! A text is kept as it is. NUL is written as U+2400, which stands for it, and `0`;
//! U+2400 itself is written twice. Two texts never become one.

use std::borrow::Cow;

const MARK: char = '\u{2400}';

/// The text as it is kept.
pub(super) fn kept(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\0' => kept.extend([MARK, '0']),
            MARK => kept.extend([MARK, MARK]),
            other => kept.push(other),
        }
    }
    kept.into()
}

/// The text that is kept so.
pub(super) fn read(kept: &str) -> Cow<'_, str> {
    if !kept.contains(MARK) {
        return Cow::Borrowed(kept);
    }
    let mut text = String::with_capacity(kept.len());
    let mut letters = kept.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // by whom else it was written, it is at least not lost
            MARK => match letters.next() {
                Some('0') => text.push('\0'),
                Some(MARK) | None => text.push(MARK),
                Some(other) => text.extend([MARK, other]),
            },
            other => text.push(other),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_can_be_kept_is_kept_as_it_is() {
        for text in ["", "alice", "DOMAIN\\alice", "\u{1}\u{7f}…🦀"] {
            assert!(matches!(kept(text), Cow::Borrowed(it) if it == text));
        }
        assert_eq!(kept("a\0\u{2400}"), "a\u{2400}0\u{2400}\u{2400}");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "[a0\0\u{2400}]{0,12}") {
            let kept = kept(&text);
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(read(&kept), &*text);
        }
    }
}
