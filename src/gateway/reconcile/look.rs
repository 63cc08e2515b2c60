//! Asks upstream what is there, behind the calls of callers.

use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret as _;
use serde_json::value::RawValue;

use super::{decide::Candidate, open::Group};
use crate::{
    audit::{self, Fingerprint},
    call::Ledger,
    gateway::{
        interpret::Asked,
        operation::Found,
        stream::{Facts, walk_of},
        trace::{Look, Made, Reader},
    },
    policy::Permit,
    status::Error,
    upstream::{Answer, Client, Request},
};

pub(super) use crate::gateway::interpret::Told;

/// The most keys that are looked at one by one.
const MANY: usize = 20;

/// How long calls of callers go first.
const COURTESY: Duration = Duration::from_secs(5);

/// How far upstream's clock and ours may be apart, if its answers tell what it
/// shows. If they don't, it is taken for ours.
pub(super) const APART: Duration = Duration::from_secs(600);

/// Why nothing can be said.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Upstream could not be asked.
    Unavailable,
    /// It could, and does not tell; that may change.
    Refused(String),
    /// It never will.
    Never(String),
}

impl Trouble {
    pub(super) fn unreadable() -> Self {
        Self::Refused("upstream's answer makes no sense".to_owned())
    }
}

/// A key that upstream has.
#[derive(Clone)]
pub(super) struct Sighting {
    pub(super) found: Found,
    /// The fingerprints of its value, where that shows; under the newest key first.
    pub(super) fingerprints: Vec<Fingerprint>,
    /// When it was made, by our clock.
    created: Option<SystemTime>,
    /// What upstream wrote; it may hold the value.
    pub(super) raw: Box<RawValue>,
    /// Whether it is a credential of ours.
    is_ours: bool,
    /// Whether it was there before: the trail knows it, or it is too old.
    was_there: bool,
}

impl Sighting {
    /// What the trail knows it by, or will.
    pub(super) fn identities(&self) -> Vec<String> {
        let new = self.fingerprints.first().map(ToString::to_string);
        self.found.id.iter().cloned().chain(new).collect()
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            created: self.created,
            is_new: !self.was_there,
        }
    }
}

/// Looks on behalf of a call.
#[derive(Clone, Copy)]
pub(super) struct Looking<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) permit: &'a Permit,
    pub(super) client: &'a Client,
    /// The call's id.
    pub(super) call: &'a str,
    /// How long one answer may take.
    pub(super) limit: Duration,
}

impl Looking<'_> {
    /// All keys that are there, or at least those made since a time.
    pub(super) async fn all(
        &self,
        look: &Look,
        since: SystemTime,
    ) -> Result<(Vec<Sighting>, Told), Trouble> {
        let gone = || Trouble::Never("upstream has no such list".to_owned());
        let Some(leaves) = look.pages else {
            let (answer, told) = self.ask(&look.reader, &look.request).await?;
            return match answer {
                Some(answer) => {
                    if look.is_list {
                        self.check_clocks(&answer)?;
                    }
                    Ok((self.sightings(&look.reader, &answer)?, told))
                }
                None if look.is_list => Err(gone()),
                None => Ok((Vec::new(), told)),
            };
        };
        let (mut all, mut last): (Vec<Sighting>, _) = (Vec::new(), Told::default());
        let mut walk = walk_of(leaves.paging);
        let mut request = look.request.clone();
        let join = if request.path.contains('?') { '&' } else { '?' };
        while let Some(query) = walk.next() {
            request.path = format!("{}{join}{query}", look.request.path);
            let (answer, told) = self.ask(&look.reader, &request).await?;
            let answer = answer.ok_or_else(gone)?;
            last = told;
            self.check_clocks(&answer)?;
            let page = self.sightings(&look.reader, &answer)?;
            let ids: Option<_> = page.iter().map(|it| it.found.id.clone()).collect();
            let facts = Facts {
                ids: ids.ok_or_else(Trouble::unreadable)?,
                total: (leaves.total)(&answer.body),
            };
            if !walk.read(&facts) {
                continue;
            }
            let is_older = |it: &Sighting| it.created.is_some_and(|it| it < since);
            let are_older = !page.is_empty() && page.iter().all(is_older);
            for sighting in page {
                if all.iter().all(|it| it.found.id != sighting.found.id) {
                    all.push(sighting);
                }
            }
            if are_older {
                break; // and so is all that follows
            }
        }
        Ok((all, last))
    }

    /// The keys that calls may have made which were to make one of their name.
    pub(super) async fn candidates(
        &self,
        made: &Made,
        group: &Group,
        upstream: &str,
    ) -> Result<(Vec<Sighting>, Told), Trouble> {
        let (mut all, told) = self.all(&made.list, group.from()).await?;
        let case = group.case(0);
        let times = group.times(Duration::ZERO);
        let is_in_time = |it: &Sighting| {
            let created = it.created;
            created.is_none_or(|it| times.iter().any(|time| (time.from..=time.to).contains(&it)))
        };
        all.retain(|it| {
            let mut name = it.found.name.clone();
            name.iter_mut().for_each(audit::cut);
            let parent = it.found.parent.as_deref();
            !it.is_ours
                && (case.name().is_none() || name.as_deref() == case.name())
                && (parent.is_none() || parent == case.parent())
                && (made.in_place || is_in_time(it))
        });
        if let Some(show) = made.show.as_ref().filter(|_| all.len() <= MANY) {
            for sighting in &mut all {
                let Some(id) = &sighting.found.id else {
                    return Err(Trouble::unreadable());
                };
                let (answer, _) = self.ask(&made.list.reader, &show(id)).await?;
                let Some(answer) = answer else { continue };
                let shown = self.sightings(&made.list.reader, &answer)?;
                let [shown] = shown.as_slice() else {
                    return Err(Trouble::unreadable());
                };
                sighting.fingerprints.clone_from(&shown.fingerprints);
                sighting.is_ours = shown.is_ours;
            }
            all.retain(|it| !it.is_ours);
        }
        self.note_known(&mut all, upstream, case.resource_type())
            .await?;
        if made.in_place {
            for it in &mut all {
                it.was_there |= !is_in_time(it);
            }
        } else {
            all.retain(|it| !it.was_there);
        }
        Ok((all, told))
    }

    /// Notes which keys the trail knows.
    async fn note_known(
        &self,
        all: &mut [Sighting],
        upstream: &str,
        resource_type: &str,
    ) -> Result<(), Trouble> {
        let identities = |it: &Sighting| -> Vec<String> {
            let fingerprints = it.fingerprints.iter().map(ToString::to_string);
            it.found.id.iter().cloned().chain(fingerprints).collect()
        };
        let ids: Vec<_> = all.iter().flat_map(identities).collect();
        let known = self.ledger.trail.owners(upstream, resource_type, &ids);
        let known = known.await.map_err(|_| Trouble::Unavailable)?;
        for it in all {
            it.was_there = identities(it).iter().any(|id| known.contains_key(id));
        }
        Ok(())
    }

    fn sightings(&self, reader: &Reader, answer: &Answer) -> Result<Vec<Sighting>, Trouble> {
        let keys = (reader.keys)(&answer.body).map_err(|malformed| {
            tracing::warn!(call = self.call, "{malformed}");
            Trouble::unreadable()
        })?;
        let date = answer.date();
        let now = self.ledger.clock.now();
        let keys = keys.into_iter().map(|raw| {
            let secret = (reader.secret)(raw);
            let secret = secret.as_ref().map(|it| it.expose_secret());
            let fingerprints = secret.map(|it| self.ledger.trail.fingerprints(it));
            let found = (reader.found)(raw);
            let created = found.created.and_then(|it| SystemTime::try_from(it).ok());
            Sighting {
                is_ours: self.client.is_own(found.id.as_deref(), secret),
                found,
                created: created.map(|it| by_our_clock(it, date.unwrap_or(now), now)),
                fingerprints: fingerprints.unwrap_or_default(),
                raw: raw.to_owned(),
                was_there: false,
            }
        });
        Ok(keys.collect())
    }

    /// Refuses to compare times if that can't be done.
    fn check_clocks(&self, answer: &Answer) -> Result<(), Trouble> {
        let (Some(theirs), ours) = (answer.date(), self.ledger.clock.now()) else {
            return Ok(());
        };
        let apart = theirs.duration_since(ours).or(ours.duration_since(theirs));
        if apart.is_ok_and(|it| it > APART) {
            let reason = "upstream's clock and that of the gateway are too far apart";
            return Err(Trouble::Refused(reason.to_owned()));
        }
        Ok(())
    }

    /// Asks one question. No answer means that there is no such thing.
    async fn ask(
        &self,
        reader: &Reader,
        request: &Request,
    ) -> Result<(Option<Answer>, Told), Trouble> {
        let clock = &self.ledger.clock;
        let patience = clock.instant() + COURTESY;
        while self.client.is_busy() && clock.instant() < patience {
            tokio::time::sleep(COURTESY / 100).await;
        }
        let deadline = clock.instant() + self.limit;
        // the next attempt is ours to choose, and retries are for callers
        let result = self.client.call_once(self.permit, request, deadline).await;
        let asked = Asked {
            client: self.client,
            request,
            call: self.call,
            is_mutation: false,
            metrics: &self.ledger.metrics,
        };
        let (told, answer) = (reader.interpret)(&asked, result);
        match answer.map_err(|it| it.error) {
            Ok(answer) => Ok((Some(answer), told)),
            Err(Error::KeyNotFound(_)) => Ok((None, told)),
            Err(Error::UpstreamRejected(words) | Error::KeyExists(words)) => {
                let words = words.join("; ");
                Err(Trouble::Never(format!("upstream refuses to tell: {words}")))
            }
            Err(Error::EndpointDisabled(words)) => {
                Err(Trouble::Never(format!("upstream refuses to tell: {words}")))
            }
            Err(Error::UpstreamCredentialsRejected | Error::UpstreamForbidden) => Err(
                Trouble::Refused("upstream does not let the gateway look".to_owned()),
            ),
            Err(Error::UpstreamMalformed) => Err(Trouble::unreadable()),
            Err(_) => Err(Trouble::Unavailable),
        }
    }
}

/// A time of upstream's clock by ours, from what both show now.
fn by_our_clock(time: SystemTime, theirs: SystemTime, ours: SystemTime) -> SystemTime {
    match ours.duration_since(theirs) {
        Ok(behind) => time + behind,
        Err(ahead) => time - ahead.duration(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_upstream_dates_is_set_right_by_what_its_clock_shows() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (theirs, ours) in [(500, 500), (380, 500), (560, 500)] {
            // made ten seconds ago
            let made = by_our_clock(at(theirs - 10), at(theirs), at(ours));
            assert_eq!(made, at(490));
        }
    }
}
