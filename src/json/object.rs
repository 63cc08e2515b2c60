//! Flat JSON objects as messages: a table says which member goes into which
//! field, and nothing is lost of the rest.

use prost_types::{Struct, Timestamp};
use serde_json::value::RawValue;

use super::{Field, Fit, Malformed, Members, Place, Rest, elements, is_null, text};

/// A message that is read from a JSON object.
pub trait Object: Default {
    /// Takes a member into its field, or keeps it.
    fn member(&mut self, name: &str, raw: &RawValue, rest: &mut Rest);

    /// Takes what has no field.
    fn finish(&mut self, rest: Rest);
}

/// Reads an object.
///
/// # Errors
/// [`Malformed`] if it is not one.
pub fn read<T: Object>(raw: &RawValue) -> Result<T, Malformed> {
    let members = Members::of(raw).ok_or(Malformed("an object was expected"))?;
    let (mut message, mut rest) = (T::default(), Rest::default());
    for (name, raw) in members {
        message.member(&name, raw, &mut rest);
    }
    message.finish(rest);
    Ok(message)
}

/// Reads a list of objects.
///
/// # Errors
/// [`Malformed`] if it is not one.
pub fn read_list<T: Object>(raw: &RawValue) -> Result<Vec<T>, Malformed> {
    let elements = elements(raw).ok_or(Malformed("a list was expected"))?;
    elements.into_iter().map(read).collect()
}

/// The one member of an answer that it is about, and what else is in it.
///
/// # Errors
/// [`Malformed`] if the answer is not an object, or lacks the member.
pub fn unwrap<'a>(
    body: &'a [u8],
    wanted: &str,
) -> Result<(&'a RawValue, Option<Struct>), Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed("the answer is not UTF-8"))?;
    let members = Members::parse(text).ok_or(Malformed("the answer is not an object"))?;
    let (mut found, mut rest) = (None, Rest::default());
    for (name, raw) in members {
        if name == wanted {
            found = Some(raw);
        } else {
            rest.keep(Place::Top, &name, raw);
        }
    }
    let found = found.ok_or(Malformed("the answer lacks what was asked for"))?;
    Ok((found, rest.into_struct()))
}

impl<T: Object> Field for Option<T> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        match read(raw) {
            _ if is_null(raw) => Fit::Null,
            Ok(message) => {
                *self = Some(message);
                Fit::Whole
            }
            Err(_) => Fit::Not,
        }
    }
}

impl<T: Object> Field for Vec<T> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        match read_list(raw) {
            _ if is_null(raw) => Fit::Null,
            Ok(messages) => {
                *self = messages;
                Fit::Whole
            }
            Err(_) => Fit::Not,
        }
    }
}

/// Fills an enum's field with a word that `known` knows: its number, not zero.
pub fn word<E: Into<i32>>(
    field: &mut i32,
    raw: &RawValue,
    known: impl FnOnce(&str) -> Option<E>,
) -> Fit {
    if is_null(raw) {
        return Fit::Null;
    }
    let number = text(raw).and_then(|it| known(&it)).map_or(0, Into::into);
    if number == 0 {
        return Fit::Not;
    }
    *field = number;
    Fit::Whole
}

/// Fills a field with a time for which upstream's null has a meaning of its own.
pub fn time_or_null<T>(
    field: &mut Option<T>,
    raw: &RawValue,
    time: impl FnOnce(Timestamp) -> T,
    null: impl FnOnce(bool) -> T,
) -> Fit {
    or_null(field, raw, Field::fill, time, null)
}

/// Fills a field with a value that `read` reads and for which upstream's null has
/// a meaning of its own.
pub fn or_null<T, V>(
    field: &mut Option<T>,
    raw: &RawValue,
    read: impl FnOnce(&mut Option<V>, &RawValue) -> Fit,
    some: impl FnOnce(V) -> T,
    null: impl FnOnce(bool) -> T,
) -> Fit {
    let mut value = None;
    let fit = read(&mut value, raw);
    if fit == Fit::Null {
        *field = Some(null(true));
        return Fit::Whole;
    }
    if let Some(value) = value {
        *field = Some(some(value));
    }
    fit
}

/// The table of a message: where it keeps what has no field (the names of nulls
/// apart, if it does that), then each member of the JSON object and its field. A
/// member that a field can't take by itself is read by a function of the field and
/// the value: `"status" => status by read_status`.
macro_rules! object {
    ($message:ident ($($rest:ident),+) {
        $($member:literal => $field:ident $(by $read:expr)?),* $(,)?
    }) => {
        impl $crate::json::Object for $message {
            fn member(
                &mut self,
                name: &str,
                raw: &::serde_json::value::RawValue,
                rest: &mut $crate::json::Rest,
            ) {
                match name {
                    $($member => {
                        let fit = $crate::json::object!(@fill self.$field, raw $(, $read)?);
                        rest.settle($crate::json::Place::Top, name, raw, fit);
                    })*
                    _ => rest.keep($crate::json::Place::Top, name, raw),
                }
            }

            fn finish(&mut self, rest: $crate::json::Rest) {
                $crate::json::object!(@finish self, rest, $($rest),+);
            }
        }
    };
    (@finish $message:ident, $value:ident, $members:ident) => {
        $message.$members = $value.into_struct();
    };
    (@finish $message:ident, $value:ident, $nulls:ident, $members:ident) => {
        ($message.$nulls, $message.$members) = $value.into_parts();
    };
    (@fill $field:expr, $raw:ident) => {
        $crate::json::Field::fill(&mut $field, $raw)
    };
    (@fill $field:expr, $raw:ident, $read:expr) => {
        $read(&mut $field, $raw)
    };
}

pub(crate) use object;
