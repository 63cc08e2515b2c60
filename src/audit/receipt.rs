//! Receipts: that a record is in the trail, in a form that needs nobody to be
//! asked. The text is C2SP's `tlog-proof`: a record's place, its way up the tree,
//! and a signed checkpoint.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD},
};

use super::{
    checkpoint::Checkpoint,
    note::{self, Verifier},
    tree::{Hash, proof},
};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The length of a hash in base64, with the end of its line.
const LINE: usize = 45;

/// Proves one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The record's id, so that it can be found.
    pub record: String,
    /// Its place in the tree.
    pub index: u64,
    /// What stands beside the way from the record to the root.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub note: String,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no receipt.
    #[error("this is not a receipt of keygate, nor another proof of the form {HEADER}")]
    Malformed,
    /// Its checkpoint is not what it should be.
    #[error("the receipt's checkpoint: {0}")]
    Checkpoint(#[from] note::Error),
    /// It is about another record.
    #[error("the receipt is not about this record")]
    OtherRecord,
}

impl Receipt {
    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        let extra = BASE64.encode(&self.record);
        let mut text = format!("{HEADER}\nextra {extra}\nindex {}\n", self.index);
        text.reserve(self.path.len() * LINE + 1 + self.note.len());
        for hash in &self.path {
            BASE64.encode_string(hash.0, &mut text);
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// Reads a receipt: its text, or the base64 of it as metadata travels.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is none.
    pub fn read(text: &str) -> Result<Self, Error> {
        if text.starts_with(HEADER) {
            return Self::parse(text).ok_or(Error::Malformed);
        }
        let padded = text.trim().trim_end_matches('=');
        let decoded = STANDARD_NO_PAD.decode(padded).ok();
        let decoded = decoded.and_then(|it| String::from_utf8(it).ok());
        let read = decoded.and_then(|it| Self::parse(&it));
        read.ok_or(Error::Malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.lines().peekable();
        if lines.next()? != HEADER {
            return None;
        }
        let extra = lines.next_if(|it| it.starts_with("extra "));
        let record = match extra {
            Some(line) => BASE64.decode(line.strip_prefix("extra ")?).ok()?,
            None => Vec::new(),
        };
        let index = lines.next()?.strip_prefix("index ")?;
        let path = lines.map(str::parse).collect::<Result<Vec<_>, _>>().ok()?;
        // a tree has no more levels than its size has bits
        if path.len() > 64 {
            return None;
        }
        Some(Self {
            record: String::from_utf8(record).ok()?,
            index: index
                .parse()
                .ok()
                .filter(|it: &u64| it.to_string() == index)?,
            path,
            note: note.to_owned(),
        })
    }

    /// Checks that a record with this leaf's hash is in the tree of the checkpoint,
    /// and gives the checkpoint.
    ///
    /// # Errors
    /// [`Error`] if that is not shown.
    pub fn verify(&self, leaf: Hash, verifier: &Verifier) -> Result<Checkpoint, Error> {
        let checkpoint = Checkpoint::open(&self.note, verifier)?;
        let root = proof::root_by_inclusion(leaf, self.index, checkpoint.size, &self.path);
        if root == Some(checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(Error::OtherRecord)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{note::tests::signer, tree::Frontier},
        *,
    };

    #[test]
    fn it_proves_its_record_and_no_other() {
        let signer = signer("example.com/trail");
        let leaves: Vec<_> = (0..9_u8).map(|it| Hash::leaf(&[it])).collect();
        let mut tree = Frontier::default();
        leaves.iter().for_each(|it| tree.push(*it, |_| ()));
        let recent = proof::Recent::new(&Frontier::default(), leaves.iter().copied());
        let receipt = Receipt {
            record: "018f".to_owned(),
            index: 5,
            path: recent.inclusion(5).unwrap(),
            note: Checkpoint::sign(&signer, &tree).note,
        };
        let text = receipt.text();
        assert!(
            text.starts_with("c2sp.org/tlog-proof@v1\nextra MDE4Zg==\nindex 5\n"),
            "{text}"
        );
        let read = Receipt::read(&text).unwrap();
        assert_eq!(read, receipt);
        let travelling = STANDARD_NO_PAD.encode(&text);
        assert_eq!(Receipt::read(&travelling).unwrap(), receipt);
        for (at, leaf) in leaves.iter().enumerate() {
            assert_eq!(read.verify(*leaf, signer.verifier()).is_ok(), at == 5);
        }
        for wrong in ["", "x", &text.replace("index 5", "index 05")] {
            assert!(Receipt::read(wrong).is_err());
        }
    }
}
