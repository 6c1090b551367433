//! Dates, timestamps and times of a zone.

use anyhow::{Context, Result, ensure};

/// A date or timestamp of the session in ISO 8601, nothing for an infinite one.
pub(super) fn written(text: &str) -> Option<String> {
    let (text, is_bc) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (year, rest) = text.split_once('-')?;
    let year: i64 = year.parse().ok()?;
    // The year before year 1 is 0.
    let year = if is_bc { 1 - year } else { year };
    let year = match year {
        10000.. => format!("+{year}"),
        0.. => format!("{year:04}"),
        _ => format!("-{:04}", -year),
    };
    let rest = rest.replacen(' ', "T", 1);
    // The session is in UTC, so the offset is always `+00`.
    let rest = match rest.strip_suffix("+00") {
        Some(moment) => format!("{moment}+00:00"),
        None => rest,
    };
    Some(format!("{year}-{rest}"))
}

/// `13:14:15.5+02` as the time of day in UTC.
pub(super) fn in_utc(text: &str) -> Result<String> {
    const DAY: i64 = 24 * 60 * 60;
    let sign = text.rfind(['+', '-']).context("a time without a zone")?;
    let (time, zone) = text.split_at_checked(sign).context("a time of no text")?;
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, format!(".{fraction}")),
        None => (time, String::new()),
    };
    let east = match zone.strip_prefix('-') {
        Some(zone) => -seconds(zone)?,
        None => seconds(zone.trim_start_matches('+'))?,
    };
    let moved = (seconds(time)? - east).rem_euclid(DAY);
    Ok(format!(
        "{:02}:{:02}:{:02}{fraction}",
        moved / 3600,
        moved / 60 % 60,
        moved % 60
    ))
}

/// `HH`, `HH:MM` or `HH:MM:SS`.
fn seconds(text: &str) -> Result<i64> {
    let mut total = 0;
    let mut unit = 3600;
    for part in text.split(':') {
        ensure!(unit > 0, "a time with too many parts");
        total += part.parse::<i64>()? * unit;
        unit /= 60;
    }
    Ok(total)
}
