//! Keeps what looks like a secret out of words that upstream chose.

/// Blots out whatever looks like the value of a key or token: 32 or more letters
/// and digits on end, or a UUID with more of them before or after it. Ids (UUIDs)
/// and words don't.
pub(super) fn redact_keys(words: &str) -> String {
    const KEY: usize = 32;
    let words = redact(words, &['-'], holds_more_than_a_uuid);
    redact(&words, &[], |run| run.len() >= KEY)
}

/// Blots out runs of letters and digits, and of these further characters.
fn redact(words: &str, further: &[char], is_key: fn(&str) -> bool) -> String {
    let is_part = |it: char| it.is_ascii_alphanumeric() || further.contains(&it);
    let mut out = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find(is_part) {
        let (before, run) = rest.split_at(start);
        let end = run.find(|it| !is_part(it)).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        out.push_str(before);
        out.push_str(if is_key(run) { "[redacted]" } else { run });
        rest = after;
    }
    out + rest
}

/// Whether a word has the groups of a UUID (RFC 9562, section 4), the first or
/// the last of them longer than there.
fn holds_more_than_a_uuid(word: &str) -> bool {
    let groups: Vec<_> = word.split('-').collect();
    groups.windows(5).any(|groups| {
        let [first, inner @ .., last] = groups else {
            return false;
        };
        let fits = |it: &&str| it.len() == 4 && it.bytes().all(|it| it.is_ascii_hexdigit());
        let (first, last) = (first.len(), last.len());
        inner.iter().all(fits) && first >= 8 && last >= 12 && first + last > 20
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_blotted_out() {
        let key = "0123456789abcdef0123456789abcdef";
        let words = format!("key {key} of 1234, {key}ff not found");
        assert_eq!(
            redact_keys(&words),
            "key [redacted] of 1234, [redacted] not found"
        );
        for words in [
            "no key é here",
            "no API key 0a0a0a0a-0000-4000-8000-000000000000",
            "no api-key-0a0a0a0a-0000-4000-8000-000000000000-either",
            "no key of-a-team-that-has-many-words-in-its-names",
        ] {
            assert_eq!(redact_keys(words), words);
        }
        assert_eq!(
            redact_keys("ddpat_0123456789ABCDEFGHIJKL_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ?"),
            "ddpat_0123456789ABCDEFGHIJKL_[redacted]?"
        );
        assert_eq!(
            redact_keys("no key xx0a0a0a0a-0000-4000-8000-000000000000, sorry"),
            "no key [redacted], sorry"
        );
    }
}
