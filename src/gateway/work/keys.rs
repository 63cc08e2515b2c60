//! Whether a call may do to keys what it is about to: what they are is found out
//! first, as far as the policy asks for it.

use secrecy::ExposeSecret as _;

use super::Work;
use crate::{
    audit,
    contract::Effect,
    gateway::{
        Failure, Operation, Result, changes,
        operation::{Found, Inspect, Key, Scopes, Target, Vendor as _, found},
        unrecorded,
    },
    policy::{self, Touch},
    status::Error,
};

/// A key that exists and that the call touches.
struct Touched {
    /// What the trail may know it by.
    identities: Vec<String>,
    name: Option<String>,
    scopes: Scopes,
}

impl<O: Operation> Work<O> {
    /// Whether these keys may be made or touched, as far as that can be told
    /// before upstream does anything. Tells whether they are the caller's own,
    /// where that matters.
    pub(super) async fn authorize_key(&mut self) -> Result<bool> {
        self.spare_masters().await?;
        let mut touched = self.touched(Vec::new());
        let mut owned = self.owned(&touched).await?;
        for own in &owned {
            // upstream need not be asked for what is not the caller's in any case
            self.noted(self.decision.permit.check_owner(*own))?;
        }
        if let Some(inspect) = self.plan.inspect.take()
            && self.needs(&inspect)
        {
            let found = self.inspect(inspect).await?;
            self.spare_found(&found)?;
            touched = self.touched(found);
            if matches!(self.plan.target, Target::Replacement) {
                owned = self.owned(&touched).await?;
            }
        }
        if touched.is_empty() {
            if self.effect == Effect::Create {
                self.decide(&[self.touch(None, &self.plan.scopes)])?;
            }
            return Ok(false);
        }
        let all = owned.iter().all(|own| *own);
        if !self.is_mutation() && self.decision.permit.needs_name() {
            return Ok(all); // decided when the answer tells the name
        }
        let touches = touched.iter().zip(owned).map(|(key, own)| {
            let scopes = match &self.plan.scopes {
                Scopes::Unchanged => &key.scopes,
                given => given,
            };
            let name = key.name.as_deref();
            self.touch(Some(policy::Key { name, own }), scopes)
        });
        self.decide(&touches.collect::<Vec<_>>())?;
        Ok(all)
    }

    /// What the request does to a key.
    fn touch<'a>(&'a self, key: Option<policy::Key<'a>>, scopes: &'a Scopes) -> Touch<'a> {
        Touch {
            key,
            name: self.plan.name.as_deref(),
            scopes: scopes.request(),
        }
    }

    /// Whether all of this may be done to keys. The record tells the rules that
    /// decided.
    pub(in crate::gateway) fn decide(&self, touches: &[Touch<'_>]) -> Result<()> {
        let mut rules: Vec<String> = Vec::new();
        for touch in touches {
            let rule = self.noted(self.decision.permit.check(touch))?;
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        self.call
            .note(|record| record.rule = Some(rules.join(", ")));
        Ok(())
    }

    /// A decision; the record tells of a denial.
    pub(in crate::gateway) fn noted<T>(
        &self,
        decision: std::result::Result<T, policy::Denial>,
    ) -> Result<T> {
        let version = self.decision.policy.version();
        Ok(decision.map_err(|it| self.call.note_denial(it, version))?)
    }

    /// Whether the read before a change has to be made.
    fn needs(&self, inspect: &Inspect) -> bool {
        let is_found = matches!(self.plan.target, Target::Replacement);
        let is_kept = self.plan.scopes == Scopes::Unchanged;
        // what is replaced is known by its name alone: our own key may have it
        inspect.complete.is_some()
            || is_found
            || self.decision.permit.needs_name()
            || (is_kept && self.decision.permit.needs_scopes())
    }

    /// What upstream has now.
    async fn inspect(&mut self, inspect: Inspect) -> Result<Vec<Found>> {
        let Inspect { request, complete } = inspect;
        let deadline = self.deadline.from(self.call.started());
        let call = self.client.call(&self.decision.permit, &request, deadline);
        let answer = self.interpret(&request, call.await, false);
        // the change itself was not sent, whatever became of this
        let answer = answer.map_err(|it| Failure::from(it.error))?;
        if let Some(complete) = complete {
            let body = complete(&answer.body).map_err(|malformed| {
                tracing::warn!(call = self.call.id(), "{malformed}");
                Error::UpstreamMalformed
            })?;
            self.plan.request.body = Some(body);
        }
        self.note_before(&answer.body);
        Ok(found::<O::Vendor>(&answer.body))
    }

    /// The record tells what the settings of the one key were that is changed.
    fn note_before(&self, body: &[u8]) {
        if !matches!(self.plan.target, Target::Key(_) | Target::Secret(_)) {
            return;
        }
        let keys = O::Vendor::keys(body).unwrap_or_default();
        let Some(key) = keys.first() else { return };
        let trail = &self.call.ledger().trail;
        self.call.note(|record| {
            for change in &mut record.changes {
                let value = O::Vendor::setting(key, &change.setting);
                change.from = value.and_then(|it| changes::before(&change.setting, it, trail));
            }
        });
    }

    /// The keys that exist and that the call touches, with what was found of them.
    fn touched(&self, found: Vec<Found>) -> Vec<Touched> {
        let touched = |identities, found: Option<Found>| {
            let Found { name, scopes, .. } = found.unwrap_or_default();
            Touched {
                identities,
                name,
                scopes,
            }
        };
        let one = |identities, mut found: Vec<Found>| vec![touched(identities, found.pop())];
        match &self.plan.target {
            Target::Collection => Vec::new(),
            Target::Key(id) | Target::CopyOf(id) => one(vec![id.clone()], found),
            Target::Secret(secret) => one(self.fingerprints(secret.expose_secret()), found),
            Target::Keys(ids) => {
                let found = |id: &String| {
                    let mut found = found.iter();
                    found.find(|it| it.id.as_ref() == Some(id)).cloned()
                };
                let all = ids.iter().map(|id| touched(vec![id.clone()], found(id)));
                all.collect()
            }
            Target::Replacement => {
                let all = found.into_iter();
                let all = all.map(|it| touched(it.id.iter().cloned().collect(), Some(it)));
                all.collect()
            }
        }
    }

    /// Which of the keys are the caller's own, as far as that matters.
    async fn owned(&self, touched: &[Touched]) -> Result<Vec<bool>> {
        if !self.decision.permit.needs_owner() {
            return Ok(vec![false; touched.len()]);
        }
        let identities: Vec<_> = touched.iter().map(|it| it.identities.clone()).collect();
        self.own(&identities).await
    }

    /// Which keys are the caller's own, each given by what the trail may know it
    /// by.
    pub(in crate::gateway) async fn own(&self, keys: &[Vec<String>]) -> Result<Vec<bool>> {
        let ids = keys.concat();
        let trail = &self.call.ledger().trail;
        let owners = trail
            .owners(self.client.name(), self.plan.resource_type, &ids)
            .await
            .map_err(unrecorded)?;
        let is_own = |id: &String| owners.get(id).is_some_and(|it| self.is_owner(it));
        Ok(keys.iter().map(|it| it.iter().any(is_own)).collect())
    }

    fn is_owner(&self, owner: &audit::Owner) -> bool {
        owner.issuer == self.caller.issuer && owner.subject == self.caller.subject
    }

    /// What the trail may know a key by that is in an answer.
    pub(in crate::gateway) fn identities(&self, key: &Key<'_>) -> Vec<String> {
        match (key.id, key.secret) {
            (Some(id), _) => vec![id.to_owned()],
            (None, Some(secret)) => self.fingerprints(secret),
            (None, None) => Vec::new(),
        }
    }

    /// A secret's fingerprints, as identities.
    pub(in crate::gateway) fn fingerprints(&self, secret: &str) -> Vec<String> {
        let all = self.call.ledger().trail.fingerprints(secret);
        all.iter().map(ToString::to_string).collect()
    }
}
