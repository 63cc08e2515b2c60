//! The closed sets of words that records use.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants are written as one fixed name each.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)*
        }

        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it is written in a record.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $type {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, ParseNameError> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(ParseNameError { known: &[$($name,)*] }),
                }
            }
        }
    };
}

named! {
    /// Which step of a call a record is about.
    Kind {
        /// A mutation is about to be sent.
        Intent = "intent",
        /// The caller could not be authenticated, or the request is not valid.
        Refused = "refused",
        /// The policy says no.
        Denied = "denied",
        /// The call has ended.
        Outcome = "outcome",
        /// What became of a call whose outcome was not known.
        Reconciled = "reconciled",
        /// Records were removed because their time was over.
        Pruned = "pruned",
        /// Fingerprints are made with another key from here on.
        Rotated = "rotated",
    }
}

named! {
    /// How an allowed call ended.
    Outcome {
        /// It did what it should.
        Succeeded = "succeeded",
        /// Upstream refused.
        Rejected = "rejected",
        /// Nothing reached the upstream.
        NotSent = "not_sent",
        /// It was sent, and what became of it is not known.
        Unknown = "unknown",
    }
}

named! {
    /// What upstream shows of a change whose outcome was not known.
    Finding {
        /// It was made.
        Applied = "applied",
        /// It was not made.
        NotApplied = "not_applied",
        /// What is there can't tell.
        Ambiguous = "ambiguous",
    }
}

/// The name is none of those that records use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of {}", known.join(", "))]
pub struct ParseNameError {
    known: &'static [&'static str],
}
