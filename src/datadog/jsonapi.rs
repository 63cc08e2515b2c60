//! JSON:API documents and resource objects, as Datadog writes them.

use serde_json::value::RawValue;

use crate::{
    contract::proto::keygate::datadog::v2::{
        LeakInformation, ResourceIdentifier, ResourceIdentifiers, Scopes,
    },
    json::{self, Field, Fit, Malformed, Members, Place, Rest, is_null},
};

/// Where attributes stand in a resource object.
pub const ATTRIBUTES: Place = Place::In("attributes");
/// Where relationships stand in a resource object.
pub const RELATIONSHIPS: Place = Place::In("relationships");

/// A document: `data` and what stands beside it.
#[derive(Debug)]
pub struct Document<'a> {
    /// The primary data.
    pub data: &'a RawValue,
    /// Related resources.
    pub included: Vec<&'a RawValue>,
    /// Figures about the data.
    pub meta: Option<&'a RawValue>,
    /// Members without a place above.
    pub rest: Rest,
}

impl<'a> Document<'a> {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Malformed`] if it is not JSON, or has no `data`.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let members = Members::parse(text).ok_or(Malformed("the answer is not a JSON object"))?;
        let (mut data, mut included, mut meta) = (None, Vec::new(), None);
        let mut rest = Rest::default();
        for (name, raw) in members {
            match &*name {
                "data" => data = Some(raw),
                "included" => match json::elements(raw) {
                    // an empty one is not the same as none
                    Some(elements) if !elements.is_empty() => included = elements,
                    _ => rest.keep(Place::Top, &name, raw),
                },
                "meta" if raw.get().starts_with('{') => meta = Some(raw),
                _ => rest.keep(Place::Top, &name, raw),
            }
        }
        Ok(Self {
            data: data.ok_or(Malformed("the answer has no `data`"))?,
            included,
            meta,
            rest,
        })
    }

    /// The primary data as a list.
    ///
    /// # Errors
    /// [`Malformed`] if it is not one.
    pub fn list(&self) -> Result<Vec<&'a RawValue>, Malformed> {
        json::elements(self.data).ok_or(Malformed("`data` is not a list"))
    }
}

/// What takes in the members of a resource object.
pub trait Resource: Default {
    /// Takes the type and the id. False if it has no place for this type.
    fn identify(&mut self, kind: &str, id: String) -> bool;
    /// Takes an attribute.
    fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest);
    /// Takes a relationship.
    fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest);
    /// Takes what is left.
    fn finish(&mut self, rest: Rest);
}

/// Reads a resource object.
///
/// # Errors
/// [`Malformed`] if it is not an object, or has no id.
pub fn resource<R: Resource>(raw: &RawValue) -> Result<R, Malformed> {
    let members = Members::of(raw).ok_or(Malformed("a resource is not an object"))?;
    let mut resource = R::default();
    let mut rest = Rest::default();
    let (mut kind, mut kind_raw, mut id) = (None::<String>, None, None::<String>);
    for (name, raw) in members {
        match &*name {
            "type" => {
                kind.fill(raw);
                kind_raw = Some(raw);
            }
            "id" => {
                id.fill(raw);
            }
            "attributes" => match Members::of(raw) {
                // an empty one is not the same as none
                Some(members) if !members.is_empty() => members
                    .into_iter()
                    .for_each(|(name, raw)| resource.attribute(&name, raw, &mut rest)),
                _ => rest.keep(Place::Top, &name, raw),
            },
            "relationships" => match Members::of(raw) {
                Some(members) if !members.is_empty() => members
                    .into_iter()
                    .for_each(|(name, raw)| resource.relationship(&name, raw, &mut rest)),
                _ => rest.keep(Place::Top, &name, raw),
            },
            _ => rest.keep(Place::Top, &name, raw),
        }
    }
    let id = id.ok_or(Malformed("a resource has no id"))?;
    let known = resource.identify(kind.as_deref().unwrap_or_default(), id);
    if let (false, Some(raw)) = (known, kind_raw) {
        rest.keep(Place::Top, "type", raw);
    }
    resource.finish(rest);
    Ok(resource)
}

/// The `data` of a relationship object, and whether it stands alone.
fn linkage(raw: &RawValue) -> Option<(&RawValue, bool)> {
    let mut data = None;
    let mut alone = true;
    for (name, raw) in Members::of(raw)? {
        match &*name {
            "data" => data = Some(raw),
            _ => alone = false,
        }
    }
    data.map(|data| (data, alone))
}

fn identifier(raw: &RawValue) -> Option<(ResourceIdentifier, bool)> {
    let (mut kind, mut id) = (None::<String>, None::<String>);
    let mut alone = true;
    for (name, raw) in Members::of(raw)? {
        match &*name {
            "type" => alone &= kind.fill(raw) == Fit::Whole,
            "id" => alone &= id.fill(raw) == Fit::Whole,
            _ => alone = false,
        }
    }
    alone &= kind.is_some();
    let identifier = ResourceIdentifier {
        r#type: kind.unwrap_or_default(),
        id: id?,
    };
    Some((identifier, alone))
}

fn fit(alone: bool) -> Fit {
    if alone { Fit::Whole } else { Fit::Partly }
}

impl Field for Option<ResourceIdentifier> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        let Some((data, alone)) = linkage(raw) else {
            return Fit::Not;
        };
        if is_null(data) {
            return if alone { Fit::Null } else { Fit::Not };
        }
        let Some((identifier, complete)) = identifier(data) else {
            return Fit::Not;
        };
        *self = Some(identifier);
        fit(alone && complete)
    }
}

impl Field for Option<ResourceIdentifiers> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        let Some((data, mut alone)) = linkage(raw) else {
            return Fit::Not;
        };
        if is_null(data) {
            return if alone { Fit::Null } else { Fit::Not };
        }
        let Some(elements) = json::elements(data) else {
            return Fit::Not;
        };
        let mut identifiers = ResourceIdentifiers::default();
        for element in elements {
            let Some((identifier, complete)) = identifier(element) else {
                return Fit::Not;
            };
            identifiers.data.push(identifier);
            alone &= complete;
        }
        *self = Some(identifiers);
        fit(alone)
    }
}

impl Field for Option<LeakInformation> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        let mut leak: Option<ResourceIdentifier> = None;
        match leak.fill(raw) {
            Fit::Null => {
                *self = Some(LeakInformation::default());
                Fit::Whole
            }
            Fit::Not => Fit::Not,
            taken => {
                let Some(leak) = leak else { return Fit::Not };
                let known = leak.r#type == "leaked_keys";
                *self = Some(LeakInformation {
                    leaked_key_id: Some(leak.id),
                });
                if known { taken } else { Fit::Partly }
            }
        }
    }
}

impl Field for Option<Scopes> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        let scopes = if is_null(raw) {
            Scopes {
                unscoped: true,
                ..Scopes::default()
            }
        } else {
            let Ok(values) = serde_json::from_str(raw.get()) else {
                return Fit::Not;
            };
            Scopes {
                values,
                unscoped: false,
            }
        };
        *self = Some(scopes);
        Fit::Whole
    }
}
