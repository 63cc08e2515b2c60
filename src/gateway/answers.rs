//! Responses that hold a key or a list of keys, where the vendor's answer is just
//! that, or an object with it in one of its members; and responses that hold
//! nothing.

use serde_json::value::RawValue;

use super::operation::Key;
use crate::json::{self, Malformed, Members, Object};

/// A key or token of a vendor's, in the contract's message.
pub trait Resource: Object {
    /// The same for the gateway.
    fn key(&self) -> Key<'_>;

    /// Leaves out what only callers who may reveal can see.
    fn conceal(&mut self);
}

/// Reads a key.
///
/// # Errors
/// [`Malformed`] if it is not one, or lacks the id that such a key has.
pub fn read<R: Resource>(raw: &RawValue) -> Result<R, Malformed> {
    let resource: R = json::object::read(raw)?;
    if resource.key().id == Some("") {
        return Err(Malformed("a key or token without an id"));
    }
    Ok(resource)
}

/// Reads a list of keys.
///
/// # Errors
/// [`Malformed`] if it is not one.
pub fn read_list<R: Resource>(raw: &RawValue) -> Result<Vec<R>, Malformed> {
    let elements = json::elements(raw).ok_or(Malformed("a list was expected"))?;
    elements.into_iter().map(read).collect()
}

/// What an answer is about, where it is just that.
///
/// # Errors
/// [`Malformed`] if it is not JSON.
pub fn bare(body: &[u8]) -> Result<&RawValue, Malformed> {
    serde_json::from_slice(body).map_err(|_| Malformed("the answer is not JSON"))
}

/// Reads an answer that tells nothing beyond its status: it has no body, or a
/// JSON object. Anything else comes from somebody between us and upstream, and
/// says nothing about what upstream did.
///
/// # Errors
/// [`Malformed`] if it is none.
pub fn nothing(body: &[u8]) -> Result<(), Malformed> {
    let body = std::str::from_utf8(body).map_err(|_| Malformed("the answer is not UTF-8"))?;
    if body.trim_ascii().is_empty() || Members::parse(body).is_some() {
        return Ok(());
    }
    Err(Malformed("the answer is not a JSON object"))
}

/// The responses of a service that hold nothing.
macro_rules! empties {
    ($($response:ident),* $(,)?) => {$(
        impl $crate::gateway::operation::Answer for $response {
            fn read(body: &[u8]) -> Result<Self, $crate::json::Malformed> {
                $crate::gateway::answers::nothing(body).map(|()| Self {})
            }

            fn keys(&self) -> Vec<$crate::gateway::operation::Key<'_>> {
                Vec::new()
            }

            fn retain(&mut self, _: &[bool]) {}

            fn conceal(&mut self) {}
        }
    )*};
}

/// The responses of a service: `list` or `one`, the response with its field, and
/// the member of the answer that holds it. Then the response keeps the rest of
/// the answer in its `additional_members`. Without a member the answer is the
/// list or the key itself.
macro_rules! answers {
    ($($form:ident $response:ident . $field:ident $(in $member:literal)?;)*) => {$(
        impl $crate::gateway::operation::Answer for $response {
            fn read(body: &[u8]) -> Result<Self, $crate::json::Malformed> {
                $crate::gateway::answers::answers!(@read $form $field body $($member)?)
            }

            fn keys(&self) -> Vec<$crate::gateway::operation::Key<'_>> {
                let keys = self.$field.iter();
                keys.map($crate::gateway::answers::Resource::key).collect()
            }

            $crate::gateway::answers::answers!(@retain $form $field);

            fn conceal(&mut self) {
                let keys = self.$field.iter_mut();
                keys.for_each($crate::gateway::answers::Resource::conceal);
                $crate::gateway::answers::answers!(@conceal self $($member)?);
            }
        }
    )*};
    (@read list $field:ident $body:ident) => {{
        let raw = $crate::gateway::answers::bare($body)?;
        Ok(Self { $field: $crate::gateway::answers::read_list(raw)? })
    }};
    (@read list $field:ident $body:ident $member:literal) => {{
        let (raw, additional_members) = $crate::json::object::unwrap($body, $member)?;
        let $field = $crate::gateway::answers::read_list(raw)?;
        Ok(Self { $field, additional_members })
    }};
    (@read one $field:ident $body:ident) => {{
        let raw = $crate::gateway::answers::bare($body)?;
        Ok(Self { $field: Some($crate::gateway::answers::read(raw)?) })
    }};
    (@read one $field:ident $body:ident $member:literal) => {{
        let (raw, additional_members) = $crate::json::object::unwrap($body, $member)?;
        let $field = Some($crate::gateway::answers::read(raw)?);
        Ok(Self { $field, additional_members })
    }};
    (@retain list $field:ident) => {
        fn retain(&mut self, keep: &[bool]) {
            let mut keep = keep.iter();
            self.$field.retain(|_| keep.next().is_some_and(|it| *it));
        }
    };
    (@retain one $field:ident) => {
        fn retain(&mut self, _: &[bool]) {}
    };
    (@conceal $response:ident) => {};
    (@conceal $response:ident $member:literal) => {
        $response.additional_members = None;
    };
}

pub(crate) use {answers, empties};
