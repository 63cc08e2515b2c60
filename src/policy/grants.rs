//! The grants of a policy, and which of them hold for a caller.
//!
//! What is looked at grows with the grants that could hold, not with all: each is
//! found by what it asks of a caller, its holder or its certificate, whichever fewer
//! grants share.

use std::collections::HashMap;

use super::index::Index;
use crate::{auth::Caller, glob};

/// How many grants may ask for the same claim, or for subjects that begin the same,
/// before those of them that also ask for a certificate are found by that. In tests
/// so few that random policies have them.
const SHARED: usize = if cfg!(test) { 1 } else { 16 };

/// A grant.
#[derive(Debug)]
pub(super) struct Grant {
    /// The role's place.
    pub(super) role: usize,
    pub(super) holder: Holder,
    pub(super) issuer: Option<String>,
    /// A pattern of the names in client certificates, one of which has to fit.
    pub(super) certificate: Option<String>,
}

/// Who a grant is for.
#[derive(Debug)]
pub(super) enum Holder {
    /// Who has this value in the roles claim.
    Claim(String),
    /// Whose subject fits this pattern.
    Subject(String),
}

impl Holder {
    fn is(&self, caller: &Caller) -> bool {
        match self {
            Self::Claim(claim) => caller.claims.contains(claim),
            Self::Subject(pattern) => glob::matches(pattern, &caller.subject),
        }
    }

    /// What it is found by.
    fn key(&self) -> (bool, &str) {
        match self {
            Self::Claim(claim) => (true, claim),
            Self::Subject(pattern) => (false, pattern.split('*').next().unwrap_or_default()),
        }
    }
}

impl Grant {
    /// Whether it is for a caller, but for the certificate.
    fn is_for(&self, caller: &Caller) -> bool {
        self.issuer.as_ref().is_none_or(|it| *it == caller.issuer) && self.holder.is(caller)
    }

    /// Whether a caller has the certificate that it asks for.
    fn is_shown(&self, caller: &Caller) -> bool {
        let mut names = caller.certificate_names.iter();
        let pattern = self.certificate.as_ref();
        pattern.is_none_or(|it| names.any(|name| glob::matches(it, name)))
    }
}

/// All grants, in order.
#[derive(Debug, Default)]
pub(super) struct Grants {
    all: Vec<Grant>,
    by_claim: HashMap<String, Vec<usize>>,
    by_subject: Index,
    by_certificate: Index,
}

impl From<Vec<Grant>> for Grants {
    fn from(all: Vec<Grant>) -> Self {
        let mut sharing = HashMap::<_, usize>::new();
        for it in &all {
            *sharing.entry(it.holder.key()).or_default() += 1;
        }
        let mut by_claim: HashMap<_, Vec<_>> = HashMap::new();
        let (mut by_subject, mut by_certificate) = (Vec::new(), Vec::new());
        for (it, at) in all.iter().zip(0..) {
            match (&it.certificate, &it.holder) {
                (Some(pattern), holder) if sharing[&holder.key()] > SHARED => {
                    by_certificate.push((pattern.clone(), at));
                }
                (_, Holder::Claim(claim)) => by_claim.entry(claim.clone()).or_default().push(at),
                (_, Holder::Subject(pattern)) => by_subject.push((pattern.clone(), at)),
            }
        }
        Self {
            by_claim,
            by_subject: by_subject.into_iter().collect(),
            by_certificate: by_certificate.into_iter().collect(),
            all,
        }
    }
}

impl Grants {
    /// The role of a grant, by its place.
    pub(super) fn role(&self, at: usize) -> usize {
        self.all[at].role
    }

    /// The grants that hold for a caller, in order.
    pub(super) fn of(&self, caller: &Caller) -> Vec<usize> {
        let claims = caller.claims.iter();
        let by_claim = claims.filter_map(|it| self.by_claim.get(it)).flatten();
        let names = caller.certificate_names.iter();
        let by_certificate = names.flat_map(|it| self.by_certificate.fitting(it));
        let holds = |at: &usize| self.all[*at].is_for(caller) && self.all[*at].is_shown(caller);
        let mut fitting: Vec<_> = by_claim
            .copied()
            .chain(self.by_subject.fitting(&caller.subject))
            .chain(by_certificate)
            .filter(holds)
            .collect();
        fitting.sort_unstable();
        fitting.dedup();
        fitting
    }

    /// The grants that would hold if the caller had the certificate that they ask
    /// for, in order. Looks at all of them.
    pub(super) fn for_want_of_a_certificate(&self, caller: &Caller) -> impl Iterator<Item = usize> {
        let all = self.all.iter().enumerate();
        all.filter(|(_, it)| it.is_for(caller) && !it.is_shown(caller))
            .map(|(at, _)| at)
    }

    /// The grants that hold only for callers with a certificate, in order.
    pub(super) fn with_certificate(&self) -> impl Iterator<Item = usize> {
        let all = self.all.iter().enumerate();
        all.filter(|(_, it)| it.certificate.is_some())
            .map(|(at, _)| at)
    }
}
