//! Times as people write them: `2h`, `2 days ago`, `yesterday`, `2026-11-20 14:00`.
//!
//! What names no zone is UTC.

use std::time::SystemTime;

use jiff::{
    Span, Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// What a text may look like, for help and for messages.
pub(super) const FORMS: &str = "2h, \"2 days ago\", yesterday, \"yesterday 14:00\", 2026-11-20, \
     \"2026-11-20 14:00\" or 2026-11-20T14:00:00+01:00 (UTC where no offset is written)";

/// The text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no time; write one as {FORMS}")]
pub(super) struct NotATime;

/// The time that a text means at that time.
pub(super) fn parse(text: &str, now: SystemTime) -> Result<SystemTime, NotATime> {
    let text = text.trim().to_ascii_lowercase();
    let now = Timestamp::try_from(now).map_err(|_| NotATime)?;
    let found = absolute(&text)
        .or_else(|| of_a_day(&text, now))
        .or_else(|| ago(&text, now));
    found.map(SystemTime::from).ok_or(NotATime)
}

/// A date, with a time of day and an offset where they are written.
fn absolute(text: &str) -> Option<Timestamp> {
    // "2026-11-20 14:00 +01:00", as some tools write it
    let joined = text
        .replace(" +", "+")
        .replace(" z", "z")
        .replace(" utc", "z");
    if let Ok(time) = joined.parse::<Timestamp>() {
        return Some(time);
    }
    let time = text.parse::<DateTime>().ok();
    let time = time.or_else(|| Some(text.parse::<Date>().ok()?.into()));
    utc(time?)
}

/// A day by its name, a time of day, or both.
fn of_a_day(text: &str, now: Timestamp) -> Option<Timestamp> {
    let today = TimeZone::UTC.to_datetime(now).date();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (day, rest) = match word {
        "" => return None,
        "now" if rest.is_empty() => return Some(now),
        "today" => (today, rest),
        "yesterday" => (today.yesterday().ok()?, rest),
        _ => (today, text),
    };
    let rest = rest.trim().trim_start_matches("at ");
    if rest.is_empty() {
        return utc(day.into());
    }
    // "14" and dates are taken for times of a day too
    let (hour, _) = rest.split_once(':')?;
    let zero = if hour.len() == 1 { "0" } else { "" };
    let time: Time = format!("{zero}{rest}").parse().ok()?;
    utc(day.to_datetime(time))
}

/// A length of time before now.
fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let length = text.trim_end_matches("ago").trim();
    let length = match length.split_once(' ') {
        Some(("a" | "an" | "one" | "last", unit)) => format!("1 {unit}"),
        _ => match length.strip_prefix("last ") {
            Some(unit) => format!("1 {unit}"),
            None => length.to_owned(),
        },
    };
    let length: Span = length.parse().ok()?;
    let before = now.to_zoned(TimeZone::UTC).checked_sub(length.abs()).ok()?;
    Some(before.timestamp())
}

fn utc(time: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> SystemTime {
        "2026-11-20T15:30:00Z".parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn people_are_understood() {
        for (text, meant) in [
            ("now", "2026-11-20T15:30:00Z"),
            ("2h", "2026-11-20T13:30:00Z"),
            ("2 h", "2026-11-20T13:30:00Z"),
            ("90m", "2026-11-20T14:00:00Z"),
            ("1h30m", "2026-11-20T14:00:00Z"),
            ("1h 30m ago", "2026-11-20T14:00:00Z"),
            ("45s", "2026-11-20T15:29:15Z"),
            ("2 hours ago", "2026-11-20T13:30:00Z"),
            ("an hour ago", "2026-11-20T14:30:00Z"),
            ("2 days ago", "2026-11-18T15:30:00Z"),
            ("2d", "2026-11-18T15:30:00Z"),
            ("a week ago", "2026-11-13T15:30:00Z"),
            ("last week", "2026-11-13T15:30:00Z"),
            ("1 month ago", "2026-10-20T15:30:00Z"),
            ("400 days", "2025-10-16T15:30:00Z"),
            ("1y", "2025-11-20T15:30:00Z"),
            ("today", "2026-11-20T00:00:00Z"),
            ("Yesterday", "2026-11-19T00:00:00Z"),
            ("yesterday 14:00", "2026-11-19T14:00:00Z"),
            ("yesterday at 9:30", "2026-11-19T09:30:00Z"),
            ("today 09:30:15", "2026-11-20T09:30:15Z"),
            ("14:00", "2026-11-20T14:00:00Z"),
            (" 2026-11-20 ", "2026-11-20T00:00:00Z"),
            ("2026-11-20 14:00", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00", "2026-11-20T14:00:00Z"),
            ("2026-11-20 14:00:05", "2026-11-20T14:00:05Z"),
            ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
            ("2026-11-20 14:00Z", "2026-11-20T14:00:00Z"),
            ("2026-11-20 14:00 UTC", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00:00+01:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20 14:00 +01:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20T14:00:00-05:00", "2026-11-20T19:00:00Z"),
            (
                "2026-11-20T14:00:00.123456789Z",
                "2026-11-20T14:00:00.123456789Z",
            ),
        ] {
            let meant: Timestamp = meant.parse().unwrap();
            assert_eq!(parse(text, now()), Ok(meant.into()), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_apart() {
        for text in [
            "",
            " ",
            "soon",
            "2",
            "2026",
            "2 dyas ago",
            "2026-13-01",
            "2026-11-31",
            "25:00",
            "yesterday 25:00",
            "ago",
            "now 14:00",
            "99999999 years ago",
            "2026-11-20 14:00 +99:00",
            "h",
            "1 fortnight ago",
            "today now",
        ] {
            assert_eq!(parse(text, now()), Err(NotATime), "{text}");
        }
        assert!(NotATime.to_string().contains("\"2 days ago\""));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[0-9a-z :+.TZ-]{0,30}|.*") {
            let _ = parse(&text, now());
        }
    }
}
