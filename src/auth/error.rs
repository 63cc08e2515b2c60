//! Why a call has no caller. Every text is safe to send to anybody: it holds
//! nothing of the token.

/// Why a call has no [`Caller`](super::Caller).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no bearer token.
    #[error("the call carries no token; send the metadata `authorization: Bearer <JWT>`")]
    Missing,
    /// The token is not one to trust.
    #[error("the token is not valid: {0}")]
    Invalid(Reason),
    /// The token was good, and is over: by its `exp`, or by the age that its
    /// issuer's tokens may have.
    #[error("the token has expired")]
    Expired,
    /// The issuer's keys can't be had at the moment.
    #[error("the keys of the token's issuer are not available at the moment; try again")]
    KeysUnavailable,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// More than one `authorization`.
    #[error("the call has more than one `authorization`")]
    ManyTokens,
    /// Over [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES).
    #[error("it is longer than 16 KiB")]
    TooLong,
    /// Not three parts of unpadded base64url, or not JSON objects inside.
    #[error("it is not a signed JWT in compact form")]
    Malformed,
    /// A member twice in one object, where two readers could see two tokens.
    #[error("its JSON names a member twice")]
    DuplicateMember,
    /// `alg` is missing, not known, not allowed for the issuer, or `none`.
    #[error("its `alg` is not one that is allowed for its issuer")]
    Algorithm,
    /// A header member of the wrong type.
    #[error("its header member `{0}` has the wrong type")]
    Header(&'static str),
    /// `crit` asks for extensions, and none are known here.
    #[error("its header has `crit`, and no extension is supported")]
    Critical,
    /// `typ` says that it is for another purpose, or not what the issuer's tokens
    /// have to say.
    #[error("its `typ` is not the one of its issuer's access tokens")]
    Type,
    /// `iss` is not a configured issuer.
    #[error("its issuer is not a trusted one")]
    Issuer,
    /// No key of the issuer has that `kid` and is for that `alg`.
    #[error("its issuer has no key for its `kid` and `alg`")]
    Key,
    /// No `kid`, and several keys of the issuer would do.
    #[error("it names no `kid`, and its issuer has several keys")]
    AmbiguousKey,
    /// The signature does not verify.
    #[error("its signature does not verify")]
    Signature,
    /// A required claim is missing, or a claim has the wrong type.
    #[error("its claim `{0}` is missing or has the wrong type")]
    Claim(&'static str),
    /// It is for somebody else.
    #[error("its audience (`aud`) is not this gateway")]
    Audience,
    /// Its time has not come (`nbf`), or never will.
    #[error("it is not valid yet (`nbf`)")]
    NotYetValid,
    /// It was issued in the future, or after its own end.
    #[error("its `iat` makes no sense")]
    IssuedAt,
    /// The roles claim is neither a list of strings nor a string.
    #[error("the claim that holds its roles is neither a list of strings nor a string")]
    Roles,
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
}
