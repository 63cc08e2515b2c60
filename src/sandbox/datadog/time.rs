//! Times as this API writes and reads them. Keys carry microseconds and
//! `+00:00`; access tokens carry `Z`, and no more digits than they need; API v1
//! carries seconds, and no zone.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;

/// The microsecond that a time is in.
pub(super) fn truncated(time: SystemTime) -> SystemTime {
    let mut stamp = Timestamp::from(time);
    stamp.nanos -= stamp.nanos % 1_000;
    SystemTime::try_from(stamp).unwrap_or(time)
}

/// One microsecond later.
pub(super) fn next_micro(time: SystemTime) -> SystemTime {
    time + Duration::from_micros(1)
}

/// `2025-09-08T09:24:43.558793+00:00`.
pub(super) fn offset(time: SystemTime) -> String {
    let Timestamp { seconds, nanos } = Timestamp::from(time);
    let whole = Timestamp { seconds, nanos: 0 }.to_string();
    format!("{}.{:06}+00:00", whole.trim_end_matches('Z'), nanos / 1_000)
}

/// `2026-04-08T16:45:23.302611856Z`, `…23.302611Z`, `…54Z`.
pub(super) fn zulu(time: SystemTime) -> String {
    Timestamp::from(time).to_string()
}

/// `2025-09-08 09:24:43`.
pub(super) fn zoneless(time: SystemTime) -> String {
    let Timestamp { seconds, .. } = Timestamp::from(time);
    let whole = Timestamp { seconds, nanos: 0 }.to_string();
    whole.trim_end_matches('Z').replace('T', " ")
}

/// Reads RFC 3339, or a date alone.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let stamp: Timestamp = text.parse().ok()?;
    SystemTime::try_from(stamp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_the_one_recorded() {
        let time = parse("2025-09-08T09:24:43.000793856Z").unwrap();
        assert_eq!(offset(time), "2025-09-08T09:24:43.000793+00:00");
        assert_eq!(zulu(time), "2025-09-08T09:24:43.000793856Z");
        assert_eq!(zoneless(time), "2025-09-08 09:24:43");
        assert_eq!(zulu(truncated(time)), "2025-09-08T09:24:43.000793Z");
        assert_eq!(parse("2025-09-08T11:24:43.000793856+02:00"), Some(time));
        assert_eq!(parse("yesterday"), None);
    }
}
