//! Which records are meant, as people say it.

use std::time::SystemTime;

use super::{secret, time};
use crate::{
    audit::{Filter, Fingerprint, Kind, Order, Outcome, Query, Reader},
    cli::{Error, Exit},
    contract::Contract,
    glob,
    policy::known_parts,
    settings::{closest, list},
};

/// Which records.
#[derive(Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Which records")]
pub(super) struct FilterArgs {
    /// From this time on: 2h, "2 days ago", yesterday, 2026-11-20, "2026-11-20 14:00"
    /// or RFC 3339; UTC where no offset is written
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this subject; * stands for anything, as in system:serviceaccount:payments:*
    #[arg(long)]
    subject: Option<String>,
    /// Of callers with tokens of this issuer
    #[arg(long)]
    issuer: Option<String>,
    /// Of this RPC, by the end of its name: DeleteApiKey; * stands for anything
    #[arg(long)]
    rpc: Option<String>,
    /// Of this upstream: datadog/us1/main, datadog/us1, us1 or datadog
    #[arg(long)]
    upstream: Option<String>,
    /// About the key or token with this id, or else with this name; in names * stands
    /// for anything
    #[arg(long, value_name = "ID|NAME")]
    resource: Option<String>,
    /// About this type of resource: api_key
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// Of this kind; any number of times
    #[arg(long, value_parser = names(Kind::ALL, Kind::name))]
    kind: Vec<String>,
    /// Outcomes of this sort; any number of times
    #[arg(long, value_parser = names(Outcome::ALL, Outcome::name))]
    outcome: Vec<String>,
    /// With this gRPC code: PERMISSION_DENIED
    #[arg(long)]
    code: Option<String>,
    /// Of this call
    #[arg(long)]
    call: Option<String>,
    /// Of this request id
    #[arg(long)]
    request_id: Option<String>,
    /// Of the secret on standard input, under every fingerprint key that the trail has
    /// had. It may be pasted as it was found: with a header's name, in quotes, in JSON
    #[arg(long, value_name = "-", value_parser = ["-"])]
    secret: Option<String>,
    /// With this fingerprint, as records have it
    #[arg(long, conflicts_with = "secret")]
    fingerprint: Option<Fingerprint>,
}

fn names<T: Copy + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(all.iter().map(move |it| name(*it)))
}

impl FilterArgs {
    /// The filter of a trail.
    pub(super) fn filter(&self, reader: &Reader, now: SystemTime) -> Result<Filter, Error> {
        let time = |flag: &str, text: &Option<String>| {
            let parsed = text.as_ref().map(|it| (it, time::parse(it, now)));
            match parsed {
                None => Ok(None),
                Some((_, Ok(time))) => Ok(Some(time)),
                Some((text, Err(fault))) => Err(wrong(format!("{flag} {text:?}: {fault}"))),
            }
        };
        let (since, until) = (time("--since", &self.since)?, time("--until", &self.until)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            let fault = "--since: nothing lies between it and --until, which is no later";
            return Err(wrong(fault.to_owned()));
        }
        let mut filter = Filter {
            since,
            until,
            subject: self.subject.clone(),
            issuer: self.issuer.clone(),
            rpc: self.rpc.as_deref().map(rpc).transpose()?,
            upstream: self.upstream.clone(),
            resource_type: self.resource_type.clone(),
            // clap lets only the known names through
            kinds: self.kind.iter().flat_map(|it| it.parse()).collect(),
            outcomes: self.outcome.iter().flat_map(|it| it.parse()).collect(),
            code: self.code.as_deref().map(code).transpose()?,
            call: self.call.clone(),
            request_id: self.request_id.clone(),
            fingerprints: self.fingerprint.map(|it| vec![it]),
            ..Filter::default()
        };
        if self.secret.is_some() {
            let all = secret::read()?;
            let all = all.iter().flat_map(|it| reader.fingerprints(it));
            filter.fingerprints = Some(all.collect());
        }
        if let Some(resource) = &self.resource {
            match is_id(reader, resource)? {
                true => filter.resource_id = Some(resource.clone()),
                false => filter.resource_name = Some(resource.clone()),
            }
        }
        Ok(filter)
    }

    /// What was probably meant, if nothing was found.
    pub(super) fn hint(&self) -> Option<String> {
        if self.secret.is_some() {
            return Some("no record holds a fingerprint of that secret".to_owned());
        }
        let upstream = self.upstream.as_deref()?.to_ascii_lowercase();
        let known = known_parts();
        let mut parts = upstream.split('/');
        let strange = parts.find(|it| !known.contains(it))?;
        let meant = closest(strange, known.iter().copied())?;
        Some(format!("--upstream: did you mean `{meant}`?"))
    }
}

/// Whether the trail knows a resource by this id.
fn is_id(reader: &Reader, id: &str) -> Result<bool, Error> {
    if id.contains('*') {
        return Ok(false);
    }
    let query = Query {
        filter: Filter {
            resource_id: Some(id.to_owned()),
            ..Filter::default()
        },
        order: Order::Newest,
        limit: Some(1),
        ..Query::default()
    };
    Ok(reader.records(query).next().transpose()?.is_some())
}

/// The end of a method's name that the contract knows.
fn rpc(text: &str) -> Result<String, Error> {
    let contract = Contract::load()?;
    let wanted = text.trim_start_matches('/').to_ascii_lowercase();
    let names = contract.operations().iter().flat_map(|it| {
        let (full, short, rpc) = (it.method.as_str(), it.short(), it.rpc.as_str());
        let versioned = full.strip_prefix("keygate.").unwrap_or(full);
        [rpc, short, versioned, full]
    });
    let all: Vec<_> = names.map(|it| (it.to_ascii_lowercase(), it)).collect();
    if all.iter().any(|(it, _)| glob::matches(&wanted, it)) {
        return Ok(wanted);
    }
    // all of a service's, if it alone is named
    let of_service = format!("{wanted}/*");
    if all.iter().any(|(it, _)| glob::matches(&of_service, it)) {
        return Ok(of_service);
    }
    let meant = closest(&wanted, all.iter().map(|(it, _)| it.as_str()));
    let meant = meant.and_then(|it| all.iter().find(|(lower, _)| lower == it));
    Err(wrong(match meant {
        Some((_, name)) => format!("--rpc: there is no RPC {text:?}; did you mean `{name}`?"),
        None => {
            format!("--rpc: there is no RPC {text:?}; `keygate permissions` lists them")
        }
    }))
}

/// A code's name.
fn code(text: &str) -> Result<String, Error> {
    let wanted = text.trim().to_ascii_uppercase().replace(['-', ' '], "_");
    let all = (0..=16).map(|it| crate::status::code_name(tonic::Code::from_i32(it)));
    let all: Vec<_> = all.collect();
    if all.contains(&wanted.as_str()) {
        return Ok(wanted);
    }
    Err(wrong(match closest(&wanted, all.iter().copied()) {
        Some(meant) => format!("--code: there is no code {text:?}; did you mean `{meant}`?"),
        None => format!(
            "--code: there is no code {text:?}; the codes are {}",
            list(all)
        ),
    }))
}

fn wrong(fault: String) -> Error {
    Error::new(Exit::Usage, anyhow::anyhow!(fault))
}
