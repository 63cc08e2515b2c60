//! Looks for secrets in bytes, in every form that they might have been written.

use std::collections::HashMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// The length of a form's beginning that is looked up first.
const HEAD: usize = 12;

/// Secrets, and the forms of each.
pub(super) struct Search {
    forms: HashMap<[u8; HEAD], Vec<Form>>,
    /// Whether any form can begin with bytes of this mark. There are many
    /// megabytes to look through.
    marks: Vec<bool>,
    secrets: usize,
}

struct Form {
    bytes: Vec<u8>,
    /// What is told of a find: never the secret itself.
    name: String,
}

/// What the first bytes of a form are told by.
fn mark(head: &[u8]) -> usize {
    let first = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    usize::try_from(first.wrapping_mul(0x9e37_79b1) >> 12).unwrap()
}

impl Default for Search {
    fn default() -> Self {
        Self {
            forms: HashMap::new(),
            marks: vec![false; 1 << 20],
            secrets: 0,
        }
    }
}

impl Search {
    /// Looks for this from now on.
    pub(super) fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 16, "{what} is too short to be looked for");
        self.secrets += 1;
        for (form, bytes) in forms(secret) {
            let head: [u8; HEAD] = bytes[..HEAD].try_into().unwrap();
            self.marks[mark(&head)] = true;
            let forms = self.forms.entry(head).or_default();
            if !forms.iter().any(|it| it.bytes == bytes) {
                let name = format!("{what}, {form}");
                forms.push(Form { bytes, name });
            }
        }
    }

    /// How many secrets are looked for.
    pub(super) fn secrets(&self) -> usize {
        self.secrets
    }

    /// What is found, each with what stands before it.
    pub(super) fn find(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for (at, head) in bytes.windows(HEAD).enumerate() {
            if !self.marks[mark(head)] {
                continue;
            }
            let forms = self.forms.get(head).into_iter().flatten();
            for form in forms.filter(|it| bytes[at..].starts_with(&it.bytes)) {
                let before = String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at]);
                found.push(format!("{place}: {}, after {before:?}", form.name));
            }
        }
        found
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let encoded: String = bytes.iter().map(|it| format!("%{it:02x}")).collect();
    let json = serde_json::to_string(secret).unwrap();
    let mut forms = vec![
        ("raw", secret.to_owned()),
        ("JSON", json.trim_matches('"').to_owned()),
        ("hex", hex(bytes)),
        ("upper-case hex", hex(bytes).to_uppercase()),
        ("URL-encoded", percent(secret)),
        ("URL-encoded in lower case", percent(secret).to_lowercase()),
        ("URL-encoded whole", encoded.clone()),
        ("URL-encoded whole, in upper case", encoded.to_uppercase()),
    ];
    // within a longer text, the encoding depends on where the secret begins
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend(bytes);
        let (first, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        let inner = |text: String| text[first..end].to_owned();
        forms.push(("base64", inner(STANDARD_NO_PAD.encode(&padded))));
        forms.push(("base64url", inner(URL_SAFE_NO_PAD.encode(&padded))));
    }
    let forms = forms.into_iter();
    forms.map(|(name, it)| (name, it.into_bytes())).collect()
}

fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn every_form_of_a_secret_is_found() {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let secret = "kéy/with+odd=chars&more>more?";
    let mut search = Search::default();
    search.add("it", secret);
    let mut planted = vec![
        secret.to_owned(),
        hex(secret.as_bytes()),
        hex(secret.as_bytes()).to_uppercase(),
        percent(secret),
    ];
    for before in ["", "x", "xy", "xyz"] {
        for after in ["", "a", "ab", "abc"] {
            let text = format!("{before}{secret}{after}");
            planted.push(STANDARD.encode(&text));
            planted.push(URL_SAFE.encode(&text));
            planted.push(STANDARD_NO_PAD.encode(&text));
        }
    }
    for planted in planted {
        let text = format!("before {planted} after");
        assert!(!search.find("", text.as_bytes()).is_empty(), "{planted}");
    }
    assert!(
        search
            .find("", "kéy/with+odd=chars&more>more!".as_bytes())
            .is_empty()
    );
}
