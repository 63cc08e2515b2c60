//! What of an answer goes where: the trail learns what was made, the caller sees
//! what the permit lets through.

use super::{Operation, Result, operation::Answer as _, unrecorded, work::Work};
use crate::{
    audit::{self, Projection},
    contract::Effect,
    policy::Key,
};

impl<O: Operation> Work<O> {
    /// What the trail learns from an answer: what was made or removed, and the
    /// fingerprints of the secrets in it, shown or not.
    pub(super) fn project(&self, response: &O::Response) -> Option<Projection> {
        let trail = &self.call.ledger().trail;
        let resources = response.keys();
        let fingerprints: Vec<_> = resources
            .iter()
            .filter_map(|it| it.secret)
            .map(|secret| trail.fingerprint(secret))
            .collect();
        let made = resources
            .first()
            .map(|it| (it.id.to_owned(), it.name.map(str::to_owned)));
        let count = u64::try_from(resources.len()).ok();
        let is_list = self.is_list();
        self.call.note(|record| {
            record.fingerprints = fingerprints;
            if is_list {
                record.items = count;
            } else if let (Some(resource), Some((id, name))) = (&mut record.resource, &made) {
                resource.id = Some(id.clone());
                if name.is_some() {
                    resource.name.clone_from(name);
                }
            }
        });
        let upstream = self.client.name().to_owned();
        match (self.effect, made, &self.plan.resource.id) {
            (Effect::Create, Some((id, _)), _) => Some(Projection::Created {
                upstream,
                resource_type: self.resource_type().to_owned(),
                id,
                owner: audit::Owner {
                    issuer: self.caller.issuer.clone(),
                    subject: self.caller.subject.clone(),
                },
            }),
            (Effect::Delete, _, Some(id)) => Some(Projection::Removed {
                upstream,
                resource_type: self.resource_type().to_owned(),
                id: id.clone(),
            }),
            _ => None,
        }
    }

    /// One key: its creator gets all of it; others its secret only by `reveal`.
    pub(super) fn narrow_one(&self, response: &mut O::Response, own: bool) -> Result<()> {
        if self.effect == Effect::Create {
            return Ok(());
        }
        let keys = response.keys();
        let Some(name) = keys.first().map(|it| it.name.map(str::to_owned)) else {
            return Ok(());
        };
        drop(keys);
        let key = Key {
            name: name.as_deref(),
            own,
        };
        if !self.is_mutation() {
            let denied = |denial| self.call.note_denial(denial, &self.policy_version);
            self.permit.check_key(&key).map_err(denied)?;
        }
        if !self.permit.reveals(&key) {
            response.conceal();
        }
        Ok(())
    }

    /// A list: only the keys that the caller may touch.
    pub(super) async fn narrow_list(&self, response: &mut O::Response) -> Result<()> {
        let narrowed = self.permit.needs_owner() || self.permit.needs_name();
        let mut revealed = true;
        if narrowed {
            let keys: Vec<_> = response
                .keys()
                .iter()
                .map(|it| (it.id.to_owned(), it.name.map(str::to_owned)))
                .collect();
            let ids: Vec<_> = keys.iter().map(|(id, _)| id.clone()).collect();
            let kind = self.resource_type();
            let trail = &self.call.ledger().trail;
            let owners = trail
                .owners(self.client.name(), kind, &ids)
                .await
                .map_err(unrecorded)?;
            let mut keep = Vec::with_capacity(keys.len());
            for (id, name) in &keys {
                let key = Key {
                    name: name.as_deref(),
                    own: owners.get(id).is_some_and(|it| self.is_owner(it)),
                };
                let kept = self.permit.check_key(&key).is_ok();
                revealed &= !kept || self.permit.reveals(&key);
                keep.push(kept);
            }
            let kept = u64::try_from(keep.iter().filter(|it| **it).count()).ok();
            response.retain(&keep);
            self.call.note(|record| record.items = kept);
        } else {
            revealed = self.permit.reveals(&Key {
                name: None,
                own: false,
            });
        }
        if !revealed {
            response.conceal();
        }
        Ok(())
    }
}
