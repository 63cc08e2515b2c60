//! The algorithms that a token may be signed with.

/// An algorithm, as `alg` names it (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
    /// Ed25519: `EdDSA`, or `Ed25519` as RFC 9864 names it.
    EdDsa,
    /// RSASSA-PKCS1-v1_5, SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5, SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5, SHA-512.
    Rs512,
    /// RSASSA-PSS, SHA-256.
    Ps256,
    /// RSASSA-PSS, SHA-384.
    Ps384,
    /// RSASSA-PSS, SHA-512.
    Ps512,
    /// HMAC, SHA-256: the one with a shared secret.
    Hs256,
}

/// All names that are known, letter for letter: `none`, and what only looks like
/// one of them, is not.
const NAMES: [(&str, Algorithm); 11] = [
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("EdDSA", Algorithm::EdDsa),
    ("Ed25519", Algorithm::EdDsa),
    ("RS256", Algorithm::Rs256),
    ("RS384", Algorithm::Rs384),
    ("RS512", Algorithm::Rs512),
    ("PS256", Algorithm::Ps256),
    ("PS384", Algorithm::Ps384),
    ("PS512", Algorithm::Ps512),
    ("HS256", Algorithm::Hs256),
];

impl Algorithm {
    /// Those with a public key.
    pub const ASYMMETRIC: [Self; 9] = [
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// An algorithm by its name in a token or a key, if it is supported.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (_, algorithm) = NAMES.iter().find(|(it, _)| *it == name)?;
        Some(*algorithm)
    }

    /// Reads the name of an algorithm in the settings.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::named(name).ok_or_else(|| {
            if name.eq_ignore_ascii_case("none") {
                "\"none\" means tokens that anybody can make; it can't be allowed".to_owned()
            } else {
                let known: Vec<_> = NAMES.iter().map(|(it, _)| *it).collect();
                format!(
                    "\"{name}\" is not a known algorithm; known are {}",
                    known.join(", ")
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_letter_for_letter() {
        assert_eq!(Algorithm::parse("ES256"), Ok(Algorithm::Es256));
        assert_eq!(Algorithm::parse("Ed25519"), Ok(Algorithm::EdDsa));
        for (name, part) in [
            ("none", "anybody"),
            ("noNE", "anybody"),
            ("es256", "known are ES256"),
            ("HS512", "known are ES256"),
            ("ES999", "known are ES256"),
        ] {
            let fault = Algorithm::parse(name).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn all_but_one_have_a_public_key() {
        for (name, algorithm) in NAMES {
            let public = Algorithm::ASYMMETRIC.contains(&algorithm);
            assert_eq!(public, name != "HS256", "{name}");
        }
    }
}
