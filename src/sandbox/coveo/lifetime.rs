//! Lifetimes: ISO 8601 durations.

use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// Reads `P1Y3M14D`, `P2W`, `PT12H`. A year has 365 days and a month 30. `None`
/// if it is no duration, or none at all.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let units = [
        ('Y', 365 * DAY),
        ('M', 30 * DAY),
        ('W', 7 * DAY),
        ('D', DAY),
    ];
    let date = seconds(date, &units)?;
    let time = seconds(time, &[('H', 60 * 60), ('M', 60), ('S', 1)])?;
    let whole = date.checked_add(time)?;
    (whole > 0).then_some(Duration::from_secs(whole))
}

/// Adds up numbers with units, which come in this order, each at most once.
fn seconds(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut sum: u64 = 0;
    for (unit, length) in units {
        let Some((number, rest)) = text.split_once(*unit) else {
            continue;
        };
        // four digits of years are more than any time can be moved by
        let number: u16 = number.parse().ok()?;
        sum = sum.checked_add(u64::from(number) * length)?;
        text = rest;
    }
    text.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_or_refused() {
        let days = |days: u64| Some(Duration::from_secs(days * DAY));
        for (text, expected) in [
            ("P1Y", days(365)),
            ("P14D", days(14)),
            ("P1M", days(30)),
            ("P2W", days(14)),
            ("P1Y3M14D", days(365 + 90 + 14)),
            ("P1DT12H", Some(Duration::from_secs(36 * 60 * 60))),
            ("PT1M", Some(Duration::from_secs(60))),
            ("", None),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("P0D", None),
            ("1Y", None),
            ("P-1Y", None),
            ("P1D1Y", None),
            ("P1.5D", None),
            ("P99999Y", None),
            ("P1Y ", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
