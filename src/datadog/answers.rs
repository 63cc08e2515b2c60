//! Datadog's answers, as responses of the contract.

use std::{borrow::Cow, collections::HashSet};

use super::{
    jsonapi::{self, Document, resource},
    resources::{Meta, included},
};
use crate::{
    contract::proto::keygate::datadog::v2::{
        AccessToken, ApiKey, ApplicationKey, CreateApiKeyResponse,
        CreateCurrentUserApplicationKeyResponse, CreatePersonalAccessTokenResponse,
        CreateServiceAccountAccessTokenResponse, CreateServiceAccountApplicationKeyResponse,
        DeleteApiKeyResponse, DeleteApplicationKeyResponse,
        DeleteCurrentUserApplicationKeyResponse, DeleteServiceAccountApplicationKeyResponse,
        GetApiKeyResponse, GetApplicationKeyResponse, GetCurrentUserApplicationKeyResponse,
        GetPersonalAccessTokenResponse, GetServiceAccountAccessTokenResponse,
        GetServiceAccountApplicationKeyResponse, IncludedResource, ListApiKeysResponse,
        ListApplicationKeysResponse, ListCurrentUserApplicationKeysResponse,
        ListPersonalAccessTokensResponse, ListServiceAccountAccessTokensResponse,
        ListServiceAccountApplicationKeysResponse, RevokePersonalAccessTokenResponse,
        RevokeServiceAccountAccessTokenResponse, UpdateApiKeyResponse,
        UpdateApplicationKeyResponse, UpdateCurrentUserApplicationKeyResponse,
        UpdatePersonalAccessTokenResponse, UpdateServiceAccountAccessTokenResponse,
        UpdateServiceAccountApplicationKeyResponse, included_resource::Resource,
    },
    gateway::{
        answers::empties,
        operation::{Answer, Key},
        stream::{Numbered, Paging},
    },
    json::Malformed,
};

/// A key or token of Datadog's.
pub(super) trait Secret {
    fn key(&self) -> Key<'_>;
    /// Ids of the resources that it points at.
    fn references(&self) -> Vec<&str>;
    fn conceal(&mut self);
}

macro_rules! secrets {
    ($($message:ident references: [$($reference:ident),*], nested: [$($nested:ident)?];)*) => {$(
        impl Secret for $message {
            fn key(&self) -> Key<'_> {
                Key {
                    id: Some(&self.id),
                    name: self.name.as_deref(),
                    secret: self.key.as_deref(),
                }
            }

            fn references(&self) -> Vec<&str> {
                let leak = self.leak_information.iter();
                let leak = leak.filter_map(|it| it.leaked_key_id.as_deref());
                leak$(.chain(self.$reference.iter().map(|it| it.id.as_str())))*
                    .collect()
            }

            fn conceal(&mut self) {
                self.key = None;
                self.additional_members = None;
                $(if let Some(nested) = &mut self.$nested {
                    nested.additional_members = None;
                })?
            }
        }
    )*};
}

secrets! {
    ApiKey references: [created_by, modified_by], nested: [last_used_date];
    ApplicationKey references: [owned_by], nested: [];
    AccessToken references: [owned_by], nested: [];
}

fn conceal_included(included: &mut Vec<IncludedResource>) {
    included.retain_mut(|it| {
        let members = match &mut it.resource {
            Some(Resource::User(user)) => &mut user.additional_members,
            Some(Resource::Role(role)) => &mut role.additional_members,
            Some(Resource::LeakedKey(key)) => &mut key.additional_members,
            Some(Resource::Other(_)) | None => return false,
        };
        *members = None;
        true
    });
}

/// What of the included resources keys point at: by id, and the roles of users
/// among them.
fn wanted<'a, S: Secret>(included: &[IncludedResource], keys: &'a [S]) -> HashSet<Cow<'a, str>> {
    let references = keys.iter().flat_map(Secret::references);
    let mut wanted: HashSet<_> = references.map(Cow::Borrowed).collect();
    for it in included {
        if let Some(Resource::User(user)) = &it.resource
            && wanted.contains(user.id.as_str())
        {
            let roles = user.roles.iter().flat_map(|it| &it.data);
            wanted.extend(roles.map(|it| Cow::Owned(it.id.clone())));
        }
    }
    wanted
}

fn is_wanted(it: &IncludedResource, wanted: &HashSet<Cow<'_, str>>) -> bool {
    match &it.resource {
        Some(Resource::User(it)) => wanted.contains(it.id.as_str()),
        Some(Resource::Role(it)) => wanted.contains(it.id.as_str()),
        Some(Resource::LeakedKey(it)) => wanted.contains(it.id.as_str()),
        Some(Resource::Other(_)) | None => false,
    }
}

/// Keeps the resources that the kept keys point at, and the roles of users kept.
fn retain_included<S: Secret>(included: &mut Vec<IncludedResource>, keys: &[S]) {
    let wanted = wanted(included, keys);
    included.retain(|it| is_wanted(it, &wanted));
}

/// The included resources that one key points at.
pub(super) fn included_of<S: Secret>(
    included: &[IncludedResource],
    key: &S,
) -> Vec<IncludedResource> {
    let wanted = wanted(included, std::slice::from_ref(key));
    let included = included.iter().filter(|it| is_wanted(it, &wanted));
    included.cloned().collect()
}

/// Pages by number, 100 resources each, in the order of creation.
pub(super) const PAGING: Paging = Paging::Numbered(Numbered {
    size: 100,
    query: |number| format!("page%5Bsize%5D=100&page%5Bnumber%5D={number}&sort=created_at"),
});

/// An operation that streams a list: its message with the one resource, and the
/// list's field with all of them.
macro_rules! pages {
    ($operation:ident => $message:ident . $key:ident of $keys:ident) => {
        impl $crate::gateway::Pages for $operation {
            type Item = $message;
            const PAGING: $crate::gateway::stream::Paging = $crate::datadog::answers::PAGING;

            fn total(page: &Self::Response) -> Option<u64> {
                let total = page.meta.as_ref()?.total_filtered_count?;
                u64::try_from(total).ok()
            }

            fn items(page: Self::Response) -> Vec<Self::Item> {
                let included = page.included;
                let items = page.$keys.into_iter().map(|key| $message {
                    included: $crate::datadog::answers::included_of(&included, &key),
                    $key: Some(key),
                });
                items.collect()
            }
        }
    };
}

pub(super) use pages;

/// The parts of an answer with one resource.
#[derive(Debug)]
struct One<R> {
    /// The resource.
    resource: R,
    /// Related resources.
    included: Vec<IncludedResource>,
    /// What has no field.
    rest: Option<prost_types::Struct>,
}

/// The parts of an answer with a list of resources.
#[derive(Debug)]
struct Many<R, M> {
    /// The resources.
    resources: Vec<R>,
    /// Related resources.
    included: Vec<IncludedResource>,
    /// Figures.
    meta: Option<M>,
    /// What has no field.
    rest: Option<prost_types::Struct>,
}

fn text(body: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(body).map_err(|_| Malformed("the answer is not UTF-8"))
}

/// Reads an answer with one resource.
///
/// # Errors
/// [`Malformed`] if it is none.
fn one<R: jsonapi::Resource>(body: &[u8]) -> Result<One<R>, Malformed> {
    let mut document = Document::parse(text(body)?)?;
    if let Some(meta) = document.meta {
        document.rest.keep(crate::json::Place::Top, "meta", meta);
    }
    Ok(One {
        resource: resource(document.data)?,
        included: document
            .included
            .into_iter()
            .map(included)
            .collect::<Result<_, _>>()?,
        rest: document.rest.into_struct(),
    })
}

/// Reads an answer with a list of resources.
///
/// # Errors
/// [`Malformed`] if it is none.
fn many<R: jsonapi::Resource, M: Meta>(body: &[u8]) -> Result<Many<R, M>, Malformed> {
    let document = Document::parse(text(body)?)?;
    let resources = document.list()?;
    Ok(Many {
        resources: resources
            .into_iter()
            .map(resource)
            .collect::<Result<_, _>>()?,
        included: document
            .included
            .into_iter()
            .map(included)
            .collect::<Result<_, _>>()?,
        meta: document.meta.map(M::read),
        rest: document.rest.into_struct(),
    })
}

macro_rules! lists {
    ($($response:ident . $keys:ident),* $(,)?) => {$(
        impl Answer for $response {
            fn read(body: &[u8]) -> Result<Self, Malformed> {
                let Many { resources, included, meta, rest } = many(body)?;
                Ok(Self { $keys: resources, included, meta, additional_members: rest })
            }

            fn keys(&self) -> Vec<Key<'_>> {
                self.$keys.iter().map(Secret::key).collect()
            }

            fn retain(&mut self, keep: &[bool]) {
                let mut keep = keep.iter();
                self.$keys.retain(|_| keep.next().is_some_and(|it| *it));
                retain_included(&mut self.included, &self.$keys);
            }

            fn forget_totals(&mut self) {
                if let Some(meta) = &mut self.meta {
                    meta.total_filtered_count = None;
                }
            }

            fn conceal(&mut self) {
                self.$keys.iter_mut().for_each(Secret::conceal);
                conceal_included(&mut self.included);
                if let Some(meta) = &mut self.meta {
                    meta.additional_members = None;
                }
                self.additional_members = None;
            }
        }
    )*};
}

macro_rules! singles {
    ($($response:ident . $key:ident),* $(,)?) => {$(
        impl Answer for $response {
            fn read(body: &[u8]) -> Result<Self, Malformed> {
                let One { resource, included, rest } = one(body)?;
                Ok(Self { $key: Some(resource), included, additional_members: rest })
            }

            fn keys(&self) -> Vec<Key<'_>> {
                self.$key.iter().map(Secret::key).collect()
            }

            fn retain(&mut self, _: &[bool]) {}

            fn conceal(&mut self) {
                self.$key.iter_mut().for_each(Secret::conceal);
                conceal_included(&mut self.included);
                self.additional_members = None;
            }
        }
    )*};
}

lists!(
    ListApiKeysResponse.api_keys,
    ListApplicationKeysResponse.application_keys,
    ListCurrentUserApplicationKeysResponse.application_keys,
    ListPersonalAccessTokensResponse.access_tokens,
    ListServiceAccountApplicationKeysResponse.application_keys,
    ListServiceAccountAccessTokensResponse.access_tokens,
);

singles!(
    CreateApiKeyResponse.api_key,
    GetApiKeyResponse.api_key,
    UpdateApiKeyResponse.api_key,
    GetApplicationKeyResponse.application_key,
    UpdateApplicationKeyResponse.application_key,
    CreateCurrentUserApplicationKeyResponse.application_key,
    GetCurrentUserApplicationKeyResponse.application_key,
    UpdateCurrentUserApplicationKeyResponse.application_key,
    CreatePersonalAccessTokenResponse.access_token,
    GetPersonalAccessTokenResponse.access_token,
    UpdatePersonalAccessTokenResponse.access_token,
    CreateServiceAccountApplicationKeyResponse.application_key,
    GetServiceAccountApplicationKeyResponse.application_key,
    UpdateServiceAccountApplicationKeyResponse.application_key,
    CreateServiceAccountAccessTokenResponse.access_token,
    GetServiceAccountAccessTokenResponse.access_token,
    UpdateServiceAccountAccessTokenResponse.access_token,
);

empties!(
    DeleteApiKeyResponse,
    DeleteApplicationKeyResponse,
    DeleteCurrentUserApplicationKeyResponse,
    RevokePersonalAccessTokenResponse,
    DeleteServiceAccountApplicationKeyResponse,
    RevokeServiceAccountAccessTokenResponse,
);
