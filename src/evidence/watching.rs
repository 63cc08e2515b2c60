//! `WatchRecords`: records as they are committed, none lost and none twice.
//!
//! The trail itself is read, from where the last record was on; that something was
//! committed is only a reason to look. A caller who takes no more holds nobody up:
//! nothing is read for them meanwhile.

use std::{sync::Arc, time::Duration};

use prost::Message as _;

use super::{filter, message, unreadable};
use crate::{
    audit::{Filter, Order, Position, Query, Trail},
    call::Call,
    contract::proto::keygate::audit::v1::{Record, WatchRecordsRequest, WatchRecordsResponse},
    gateway::Outlet,
    status::{Error, Violation},
};

/// How many records are looked at in one go, and how large those may be together
/// that are kept to be sent, in bytes.
const PIECE: usize = 1000;
const LARGEST_PIECE: usize = 1024 * 1024;

/// After how many positions without a record it is told how far things have got.
const SILENCE: u64 = 1000;

/// How often it is looked, as others may write to the same trail.
const PERIOD: Duration = Duration::from_millis(500);

/// What a message counts.
pub(super) fn weight(message: &WatchRecordsResponse) -> u64 {
    u64::from(message.record.is_some())
}

/// A watch under way.
struct Watch {
    trail: Trail,
    outlet: Outlet<WatchRecordsResponse>,
    filter: Filter,
    next: u64,
    to: Option<u64>,
    /// What the caller was last told to go on with.
    told: u64,
}

pub(super) async fn watch(
    call: Arc<Call>,
    request: WatchRecordsRequest,
    outlet: Outlet<WatchRecordsResponse>,
) -> Result<impl Future<Output = Result<(), Error>> + Send + 'static, Error> {
    let WatchRecordsRequest {
        filter,
        from_position: from,
        to_position: to,
    } = request;
    let trail = call.ledger().trail.clone();
    let end = trail.read(|it| it.end()).await.map_err(unreadable)?.0;
    let mut violations = Vec::new();
    let filter = filter::read(filter, &mut violations);
    let next = from.unwrap_or(end);
    if next > end {
        let fault = format!("is behind the end of the trail, which is {end}");
        violations.push(Violation::new("from_position", fault));
    } else if to.is_some_and(|it| it < from.unwrap_or(0)) {
        violations.push(Violation::new("to_position", "is before `from_position`"));
    }
    if !violations.is_empty() {
        return Err(Error::InvalidRequest(violations));
    }
    let watch = Watch {
        trail,
        outlet,
        filter,
        next,
        to,
        told: next,
    };
    Ok(watch.run())
}

impl Watch {
    async fn run(mut self) -> Result<(), Error> {
        let mut head = self.trail.head();
        loop {
            head.mark_unchanged();
            let has_more = self.piece().await?;
            if self.to.is_some_and(|it| self.next >= it) {
                return Ok(());
            }
            if has_more {
                continue;
            }
            let changed = async {
                // a trail that is closed tells no more, and its gateway ends
                if head.changed().await.is_err() {
                    std::future::pending().await
                }
            };
            let some_time = tokio::time::timeout(PERIOD, changed);
            let _ = self.outlet.wait(some_time).await?;
        }
    }

    /// Sends a piece of what is committed. Whether there is more.
    async fn piece(&mut self) -> Result<bool, Error> {
        let (next, to, filter) = (self.next, self.to, self.filter.clone());
        let reading = self.trail.read(move |reader| {
            let end = reader.end()?.0.min(to.unwrap_or(u64::MAX));
            let (mut found, mut bytes) = (Vec::<Record>::new(), 0);
            if next >= end {
                return Ok((found, next, false));
            }
            let mut records = reader.records(Query {
                filter,
                order: Order::Oldest,
                after: next.checked_sub(1).map(Position),
                before: Some(Position(end)),
                limit: None,
                budget: Some(PIECE),
            });
            while bytes < LARGEST_PIECE {
                let Some(stored) = records.next() else {
                    let next = records.rest().map_or(end, |it| it.0 + 1);
                    return Ok((found, next, next < end));
                };
                let record = message::record(stored?);
                bytes += record.encoded_len();
                found.push(record);
            }
            let next = found.last().map_or(next, |it| it.position + 1);
            Ok((found, next, next < end))
        });
        let read = self.outlet.wait(reading).await?;
        let (found, next, has_more) = read.map_err(unreadable)?;
        for record in found {
            let next_position = record.position + 1;
            let record = Some(record);
            self.outlet
                .send(WatchRecordsResponse {
                    record,
                    next_position,
                })
                .await?;
            self.told = next_position;
        }
        self.next = next;
        if self.next - self.told >= SILENCE {
            let silence = WatchRecordsResponse {
                record: None,
                next_position: self.next,
            };
            self.outlet.send(silence).await?;
            self.told = self.next;
        }
        Ok(has_more)
    }
}
