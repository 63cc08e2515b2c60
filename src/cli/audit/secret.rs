//! A leaked secret on standard input, however it was pasted.

use std::io::{self, Read as _};

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::cli::{Error, Exit};

/// The longest text that is read, and the most secrets that are looked for in it.
const LONGEST: u64 = 64 * 1024;
const MOST: usize = 4096;

/// Reads standard input: everything in it that may be the secret.
pub(super) fn read() -> Result<Vec<Zeroizing<String>>, Error> {
    let mut text = Zeroizing::new(String::new());
    io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .context("standard input can't be read")
        .map_err(|e| Error::new(Exit::Io, e))?;
    let found = candidates(&text);
    if found.is_empty() {
        let empty = anyhow::anyhow!("--secret: there is no secret on standard input");
        return Err(Error::new(Exit::Usage, empty));
    }
    Ok(found)
}

/// Everything in a text that may be the secret: the text itself, its lines, and the
/// words in it, without quotes and without the name that they are given.
///
/// Secrets are looked for by their fingerprints, so that a word too many finds
/// nothing that it should not.
fn candidates(text: &str) -> Vec<Zeroizing<String>> {
    let mut found: Vec<&str> = vec![text.trim()];
    found.extend(text.lines().map(str::trim));
    for word in text.split_whitespace() {
        found.push(word);
        for part in word.split(is_quote) {
            found.push(part);
            found.push(part.trim_matches(is_punctuation));
            // `DD_API_KEY=…`, `dd-api-key:…`, and secrets that hold such signs
            let names = part.match_indices(['=', ':']);
            found.extend(names.map(|(at, _)| part[at + 1..].trim_matches(is_punctuation)));
        }
    }
    let mut unique: Vec<Zeroizing<String>> = Vec::new();
    for it in found.into_iter().filter(|it| !it.is_empty()) {
        if unique.len() < MOST && unique.iter().all(|known| known.as_str() != it) {
            unique.push(Zeroizing::new(it.to_owned()));
        }
    }
    unique
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '“' | '”' | '‘' | '’')
}

fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        ',' | ';' | '.' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_was_pasted() {
        let secret = "ab/cd+ef==:0123456789";
        for text in [
            secret.to_owned(),
            format!("  {secret}\r\n\n"),
            format!("Bearer {secret}"),
            format!("GenieKey {secret}\n"),
            format!("Authorization: Bearer {secret}"),
            format!("DD-API-KEY: {secret}"),
            format!("dd-api-key:{secret}"),
            format!("DD_API_KEY={secret}"),
            format!("export DD_API_KEY=\"{secret}\""),
            format!("curl -H 'DD-API-KEY: {secret}' https://api.datadoghq.com/"),
            format!("{{\"key\":\"{secret}\"}}"),
            format!("{{\n  \"key\": \"{secret}\",\n}}"),
            format!("the key is `{secret}`."),
            format!("api_key: {secret}, app_key: x"),
            format!("({secret})"),
        ] {
            let found = candidates(&text);
            assert!(found.iter().any(|it| it.as_str() == secret), "{text}");
        }
        assert!(candidates(" \n ").is_empty());
    }

    #[test]
    fn words_of_a_secret_with_spaces_belong_together() {
        let found = candidates("a secret\nwith lines\n");
        for it in ["a secret\nwith lines", "a secret", "with lines", "secret"] {
            assert!(found.iter().any(|found| found.as_str() == it), "{it}");
        }
    }

    #[test]
    fn a_long_text_takes_no_time() {
        assert!(candidates(&"=:a ".repeat(16_384)).len() <= MOST);
        let many: Vec<_> = (0..20_000).map(|it| it.to_string()).collect();
        assert_eq!(candidates(&many.join(" ")).len(), MOST);
        assert!(candidates(&":=".repeat(30_000)).len() <= MOST);
    }
}
