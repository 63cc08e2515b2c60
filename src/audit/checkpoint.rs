//! Checkpoints: what a tree was at a size, as C2SP's `tlog-checkpoint` writes it
//! down to be signed.

use std::fmt::Write as _;

use super::{
    note::{self, Signer, Verifier},
    tree::{Frontier, Hash},
};

/// The state of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose tree it is.
    pub origin: String,
    /// How many records it has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// A checkpoint and the signed note of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note.
    pub note: String,
}

impl Checkpoint {
    /// The checkpoint of a tree, signed. Its origin is the signer's name.
    #[must_use]
    pub fn sign(signer: &Signer, tree: &Frontier) -> Signed {
        let checkpoint = Self {
            origin: signer.verifier().name().to_owned(),
            size: tree.size(),
            root: tree.root(),
        };
        let note = signer.sign(&checkpoint.text());
        Signed { checkpoint, note }
    }

    fn text(&self) -> String {
        let Self { origin, size, root } = self;
        let mut text = String::with_capacity(origin.len() + 72);
        // Writing to a string can't fail.
        let _ = writeln!(text, "{origin}\n{size}\n{root}");
        text
    }

    /// Opens a note that this key has signed.
    ///
    /// # Errors
    /// [`note::Error`] if it is not signed by this key, or is no checkpoint of the
    /// origin that the key is named after.
    pub fn open(note: &str, verifier: &Verifier) -> Result<Self, note::Error> {
        let checkpoint = Self::parse(verifier.open(note)?).ok_or(note::Error::Malformed)?;
        if checkpoint.origin == verifier.name() {
            Ok(checkpoint)
        } else {
            Err(note::Error::NotSigned(verifier.name().to_owned()))
        }
    }

    /// Reads a note without asking who has signed it.
    ///
    /// # Errors
    /// [`note::Error::Malformed`] if it is no checkpoint.
    pub fn unverified(note: &str) -> Result<Self, note::Error> {
        Self::parse(note).ok_or(note::Error::Malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split_inclusive('\n').map(|it| it.strip_suffix('\n'));
        let mut line = || lines.next().flatten().filter(|it| !it.is_empty());
        let (origin, size, root) = (line()?, line()?, line()?);
        let number: u64 = size.parse().ok()?;
        // with no other spelling of the same number
        if number.to_string() != size {
            return None;
        }
        Some(Self {
            origin: origin.to_owned(),
            size: number,
            root: root.parse().ok()?,
        })
    }
}

/// All notes in a text: one after another with or without empty lines between, or
/// one JSON object with a member `checkpoint` a line, as they are sent out.
#[must_use]
pub fn notes(text: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        checkpoint: String,
    }
    let (mut notes, mut note) = (Vec::new(), String::new());
    let mut signed = false;
    for line in text.lines() {
        if line.starts_with('{') {
            let line = serde_json::from_str::<Line>(line);
            notes.extend(line.map(|it| it.checkpoint));
            continue;
        }
        let signature = line.starts_with('—');
        if signed && !signature {
            notes.push(std::mem::take(&mut note));
            signed = false;
        }
        if note.is_empty() && line.is_empty() {
            continue;
        }
        signed |= signature;
        note.push_str(line);
        note.push('\n');
    }
    if !note.is_empty() {
        notes.push(note);
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::{super::note::tests::signer, *};

    #[test]
    fn it_is_three_lines_and_a_signature() {
        let signer = signer("example.com/trail");
        let mut tree = Frontier::default();
        tree.push(Hash::leaf(b"record"), |_| ());
        let Signed { checkpoint, note } = Checkpoint::sign(&signer, &tree);
        let root = Hash::leaf(b"record");
        let text = format!("example.com/trail\n1\n{root}\n\n— example.com/trail ");
        assert!(note.starts_with(&text), "{note}");
        assert_eq!(
            Checkpoint::open(&note, signer.verifier()).unwrap(),
            checkpoint
        );
        assert_eq!(Checkpoint::unverified(&note).unwrap(), checkpoint);
        for wrong in ["", "a\n1\n", "a\n01\nAA==\n", "a\n-1\nAA==\n"] {
            assert!(Checkpoint::unverified(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_note_of_another_origin_is_none_of_this_key() {
        let signer = signer("example.com/trail");
        let note = signer.sign(&format!("example.com/other\n0\n{}\n", Hash::empty()));
        assert!(Checkpoint::open(&note, signer.verifier()).is_err());
    }

    #[test]
    fn notes_are_found_however_they_were_kept() {
        let signer = signer("example.com/trail");
        let mut tree = Frontier::default();
        let mut made = Vec::new();
        for record in ["a", "b", "c"] {
            tree.push(Hash::leaf(record.as_bytes()), |_| ());
            made.push(Checkpoint::sign(&signer, &tree).note);
        }
        assert_eq!(notes(&made.concat()), made);
        assert_eq!(notes(&made.join("\n")), made);
        let lines = made.iter().map(|note| {
            let line = serde_json::json!({ "checkpoint": note });
            format!("{line}\n")
        });
        assert_eq!(notes(&lines.collect::<String>()), made);
    }
}
