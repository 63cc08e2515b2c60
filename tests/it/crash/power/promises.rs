//! What was told, and to whom, in the order in which the disk was written: which
//! records have to be on it at any moment.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{Ipv4Addr, SocketAddrV4},
};

use keygate::audit::{Kind, Stored};

use crate::{
    crash::callers::{NAME, Told},
    support::disk::Event,
};

/// From which event on how many records have to be there: both only grow.
pub(super) struct Promises(BTreeMap<usize, u64>);

/// What a session of the server told: the events of its time, and the answers.
pub(super) struct Session {
    pub(super) events: std::ops::Range<usize>,
    pub(super) told: Vec<Told>,
}

/// Where a caller calls from, by which its connection is known.
pub(super) fn address(caller: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(caller + 1).unwrap())
}

impl Promises {
    pub(super) fn new(events: &[Event], sessions: &[Session], trail: &[Stored]) -> Self {
        let mut own = Self(BTreeMap::new());
        let mut ends: HashMap<&str, u64> = HashMap::new();
        let mut intents: HashMap<&str, u64> = HashMap::new();
        for Stored {
            position, record, ..
        } in trail
        {
            if record.kind == Kind::Intent {
                let resource = record.resource.as_ref().unwrap();
                let name = resource.name.as_deref().filter(|it| it.starts_with(NAME));
                if let Some(name) = name.or(resource.id.as_deref()) {
                    intents.entry(name).or_insert(position.0);
                }
            } else {
                let request = record.request_id.as_deref().unwrap();
                ends.insert(request, position.0);
            }
        }
        let mut answers = 0;
        for session in sessions {
            let sent = answered(events, session.events.clone());
            for told in &session.told {
                let event = sent[&address(told.caller)][told.before as usize];
                own.add(event, ends[told.request_id.as_str()]);
                answers += 1;
            }
        }
        let mut changes = 0;
        for (at, event) in events.iter().enumerate() {
            if let Event::Sent(to, bytes) = event
                && *to.ip() == Ipv4Addr::LOCALHOST
                && let Some(name) = changed(bytes)
            {
                let intent = intents.get(name.as_str());
                own.add(
                    at,
                    *intent.unwrap_or_else(|| panic!("no intent for {name}")),
                );
                changes += 1;
            }
        }
        println!(
            "{answers} answers, {changes} changes and {} records promised",
            trail.len()
        );
        assert!(answers > 100 && changes > 100);
        own
    }

    fn add(&mut self, event: usize, position: u64) {
        let needed = self.0.entry(event).or_default();
        *needed = (*needed).max(position + 1);
    }

    /// How many records have to be there if the power is cut before this event.
    pub(super) fn needed(&self, before: usize) -> u64 {
        let earlier = self.0.range(..before);
        earlier.map(|(_, needed)| *needed).max().unwrap_or_default()
    }

    /// The events with which something was told.
    pub(super) fn events(&self) -> Vec<usize> {
        self.0.keys().copied().collect()
    }
}

/// The events with which answers began, in their order, by where the caller called
/// from. A caller makes one call at a time, over one connection after the other.
fn answered(events: &[Event], during: std::ops::Range<usize>) -> HashMap<Ipv4Addr, Vec<usize>> {
    let mut found: HashMap<Ipv4Addr, Vec<usize>> = HashMap::new();
    let mut seen = HashSet::new();
    // what is still to come of the frame that began last, and a frame's cut head
    let mut open: HashMap<SocketAddrV4, (usize, Vec<u8>)> = HashMap::new();
    for at in during {
        let Event::Sent(to, bytes) = &events[at] else {
            continue;
        };
        if *to.ip() == Ipv4Addr::LOCALHOST {
            continue;
        }
        let (left, head) = open.entry(*to).or_default();
        for byte in bytes {
            if *left > 0 {
                *left -= 1;
                continue;
            }
            head.push(*byte);
            if head.len() == 9 {
                // RFC 9113, 4.1: length, type, flags, stream
                let number = |of: &[u8]| {
                    of.iter()
                        .fold(0u32, |it, byte| (it << 8) | u32::from(*byte))
                };
                *left = number(&head[..3]) as usize;
                let (kind, stream) = (head[3], number(&head[5..]) & 0x7fff_ffff);
                // DATA or HEADERS
                if kind < 2 && seen.insert((*to, stream)) {
                    found.entry(*to.ip()).or_default().push(at);
                }
                head.clear();
            }
        }
    }
    found
}

/// What a request to a vendor is about, if it changes something that no other
/// request does: the name it gives, or the id that it deletes.
fn changed(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    if let Some(at) = text.find(NAME) {
        return Some(text[at..].chars().take(NAME.len() + 36).collect());
    }
    let path = text.strip_prefix("DELETE ")?.split(' ').next()?;
    path.rsplit('/').next().map(str::to_owned)
}
