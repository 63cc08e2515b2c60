//! What of an answer goes where: the trail learns what was made, the caller sees
//! what the permit lets through.

use secrecy::ExposeSecret as _;

use super::{
    Operation, Result,
    masters::out_of_reach,
    operation::{Answer as _, Key, Target},
    work::Work,
};
use crate::{
    audit::{self, Fingerprint, Projection},
    contract::Effect,
    policy::{self, Touch},
};

impl<O: Operation> Work<O> {
    /// What the trail learns from an answer: what was made or removed, and the
    /// fingerprints of the secrets in it, shown or not.
    pub(super) fn project(&self, response: &O::Response) -> Vec<Projection> {
        let trail = &self.call.ledger().trail;
        let keys = response.keys();
        let secrets = keys.iter().filter_map(|it| it.secret);
        let fingerprints: Vec<_> = secrets.map(|it| trail.fingerprint(it)).collect();
        let count = u64::try_from(keys.len()).ok();
        let is_list = self.is_list();
        self.call.note(|record| {
            let new = |it: &Fingerprint| !record.fingerprints.contains(it);
            let new: Vec<_> = fingerprints.iter().filter(|it| new(it)).copied().collect();
            record.fingerprints.extend(new);
            if is_list {
                record.items = count;
            } else if let (Some(resource), [made]) = (&mut record.resource, keys.as_slice()) {
                if let Some(id) = made.id {
                    resource.id = Some(id.to_owned());
                }
                if let Some(name) = made.name {
                    resource.name = Some(name.to_owned());
                }
            }
        });
        let upstream = self.client.name();
        let resource_type = self.plan.resource_type;
        let removed = |id: &String| Projection::Removed {
            upstream: upstream.to_owned(),
            resource_type: resource_type.to_owned(),
            id: id.clone(),
        };
        match self.effect {
            Effect::Create => {
                let ids = keys.iter().map(|it| it.id.map(str::to_owned));
                let ids = ids.chain(fingerprints.iter().map(|it| Some(it.to_string())));
                let ids: Vec<_> = ids.flatten().collect();
                let created = ids.iter().map(|id| Projection::Created {
                    upstream: upstream.to_owned(),
                    resource_type: resource_type.to_owned(),
                    id: id.clone(),
                    owner: audit::Owner {
                        issuer: self.caller.issuer.clone(),
                        subject: self.caller.subject.clone(),
                    },
                });
                // what stands in a key's place may have its id, and another owner
                let replaced = matches!(self.plan.target, Target::Replacement);
                let removed = ids.iter().filter(|_| replaced).map(removed);
                removed.chain(created).collect()
            }
            Effect::Delete => {
                let ids = match &self.plan.target {
                    Target::Key(id) => vec![id.clone()],
                    Target::Keys(ids) => ids.clone(),
                    Target::Secret(secret) => self.fingerprints(secret.expose_secret()),
                    Target::Collection | Target::CopyOf(_) | Target::Replacement => Vec::new(),
                };
                ids.iter().map(removed).collect()
            }
            Effect::Read | Effect::Reveal | Effect::Update | Effect::Unspecified => Vec::new(),
        }
    }

    /// One key: its creator gets all of it; others its secret only by `reveal`.
    pub(super) fn narrow_one(&self, response: &mut O::Response, own: bool) -> Result<()> {
        if self.effect == Effect::Create {
            return Ok(());
        }
        let keys = response.keys();
        let Some(first) = keys.first() else {
            return Ok(());
        };
        let (is_ours, name) = (self.is_ours(first), first.name.map(str::to_owned));
        drop(keys);
        let key = policy::Key {
            name: name.as_deref(),
            own,
        };
        if !self.is_mutation() {
            if is_ours {
                self.noted::<()>(Err(out_of_reach()))?;
            }
            self.decide(&[Touch::of(key)])?;
        }
        if is_ours || !self.decision.permit.reveals(&key) {
            response.conceal();
        }
        Ok(())
    }

    /// Whether a key in an answer is one that we present ourselves: no caller sees
    /// it.
    fn is_ours(&self, key: &Key<'_>) -> bool {
        self.upstreams.is_own(key.id, key.secret)
    }

    /// A list: only the keys that the caller may touch.
    pub(super) async fn narrow_list(&self, response: &mut O::Response) -> Result<()> {
        let (keep, revealed) = self.kept(&response.keys()).await?;
        if let Some(keep) = keep {
            let kept = keep.iter().filter(|it| **it).count();
            let kept = u64::try_from(kept).ok();
            // our own are nobody's secret: a total that has them in it tells nothing
            let is_ours: Vec<_> = response.keys().iter().map(|it| self.is_ours(it)).collect();
            let are_others_left_out = keep.iter().zip(is_ours).any(|(kept, ours)| !kept && !ours);
            response.retain(&keep);
            if are_others_left_out {
                response.forget_totals();
            }
            self.call.note(|record| record.items = kept);
        }
        if !revealed {
            response.conceal();
        }
        Ok(())
    }

    /// Which keys of a list the caller may touch, `None` for all of them; and
    /// whether the secrets of all these may be shown.
    async fn kept(&self, keys: &[Key<'_>]) -> Result<(Option<Vec<bool>>, bool)> {
        let ours: Vec<_> = keys.iter().map(|it| self.is_ours(it)).collect();
        if !self.decision.permit.needs_owner() && !self.decision.permit.needs_name() {
            let any = policy::Key {
                name: None,
                own: false,
            };
            let others = ours.contains(&true);
            let others = others.then(|| ours.iter().map(|it| !it).collect());
            return Ok((others, self.decision.permit.reveals(&any)));
        }
        let identities: Vec<_> = keys.iter().map(|it| self.identities(it)).collect();
        let names: Vec<_> = keys.iter().map(|it| it.name.map(str::to_owned)).collect();
        let own = self.own(&identities).await?;
        let mut revealed = true;
        let keep = names.iter().zip(own).zip(ours).map(|((name, own), ours)| {
            let name = name.as_deref();
            let key = policy::Key { name, own };
            let kept = !ours && self.decision.permit.reaches(&key);
            revealed &= !kept || self.decision.permit.reveals(&key);
            kept
        });
        let keep = keep.collect();
        Ok((Some(keep), revealed))
    }
}
