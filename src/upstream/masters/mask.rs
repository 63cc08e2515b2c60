//! What a list shows of a key's value, and whether that can be a credential's.

/// How much of a value has to be shown to tell keys apart.
const LEAST: usize = 3;

/// A value of which only the beginning, the end, or both are shown, with anything
/// between them that is neither a letter nor a digit, `-` or `_`.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    begin: &'a str,
    end: &'a str,
    /// Whether nothing is blotted out: this is all of it, or either end.
    is_plain: bool,
}

impl<'a> Mask<'a> {
    /// Reads one; `None` if it shows too little to tell anything.
    #[must_use]
    pub fn read(shown: &'a str) -> Option<Self> {
        let is_blot = |it: char| !it.is_ascii_alphanumeric() && !matches!(it, '-' | '_');
        let begin = shown.split(is_blot).next().unwrap_or(shown);
        let end = shown.rsplit(is_blot).next().unwrap_or(shown);
        let is_plain = begin.len() == shown.len();
        let shows = if is_plain {
            begin.len()
        } else {
            begin.len() + end.len()
        };
        (shows >= LEAST).then_some(Self {
            begin,
            end,
            is_plain,
        })
    }

    /// Whether the value behind it can be this one.
    #[must_use]
    pub fn fits(&self, value: &str) -> bool {
        let (begins, ends) = (value.starts_with(self.begin), value.ends_with(self.end));
        if self.is_plain {
            begins || ends
        } else {
            begins && ends
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_fits_the_value_behind_it() {
        const VALUE: &str = "bt-st-0123abcd";
        for (shown, fits) in [
            ("bt-st-****abcd", true),
            ("bt-st-…abcd", true),
            ("bt-...bcd", true),
            ("****abcd", true),
            ("bt-st-0***", true),
            ("abcd", true),
            ("bt-st-0123abcd", true),
            ("bt-st-****abce", false),
            ("sk-****abcd", false),
            ("bt-st-0123abcd0", false),
            ("0123", false),
        ] {
            let mask = Mask::read(shown).unwrap();
            assert_eq!(mask.fits(VALUE), fits, "{shown}");
        }
        for shown in ["", "****", "a***", "*", "…d", "ab"] {
            assert!(Mask::read(shown).is_none(), "{shown}");
        }
    }
}
