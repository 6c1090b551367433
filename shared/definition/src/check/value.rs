//! Single values: numbers with ranges, durations, sizes, words, secrets.
//! In: a table and a key. Out: the value, or a finding and `None`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::deployment::{Address, ByteSize, Secret};
use crate::diagnostic::{Diagnostic, nearest};
use crate::raw::{Node, NumberValue, RawValue, Reader, Table};

/// Reads a duration: an integer with `ms`, `s`, `m`, `h` or `d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (count, unit) = split_unit(text)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    count.checked_mul(factor).map(Duration::from_millis)
}

/// Reads a size: an integer of bytes, alone or with `B` `KB` `MB` `GB` (1000)
/// `KiB` `MiB` `GiB` (1024).
#[must_use]
pub fn parse_size(text: &str) -> Option<ByteSize> {
    let (count, unit) = split_unit(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "GiB" => 1024 * 1024 * 1024,
        _ => return None,
    };
    count.checked_mul(factor).map(ByteSize::new)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit))
}

/// Reads an address: `host:port`, `[IPv6]:port`, or `:port` for all interfaces.
pub(super) fn parse_address(text: &str) -> Option<Address> {
    let (host, port) = text.trim().rsplit_once(':')?;
    // u16::from_str takes a sign; a port has none.
    let port = port
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| port.parse().ok())??;
    let host = match host.strip_prefix('[') {
        Some(inside) => {
            let inside = inside.strip_suffix(']')?;
            inside.parse::<std::net::Ipv6Addr>().ok()?;
            Some(inside.to_owned())
        }
        None if host.is_empty() => None,
        None if host
            .chars()
            .all(|c| c.is_alphanumeric() || ".-_".contains(c)) =>
        {
            Some(host.to_owned())
        }
        None => return None,
    };
    Some(Address { host, port })
}

/// An error about a value's form.
pub(super) fn wrong(
    reader: &mut Reader<'_>,
    node: &Node,
    message: impl Into<String>,
    help: impl Into<String>,
) {
    reader.error_help("E106", &node.span, message, help);
}

/// An error about a value of another kind than its key takes.
pub(super) fn mistyped(reader: &mut Reader<'_>, node: &Node, message: String) {
    let is_reference = matches!(node.map(), Some([one]) if one.key == "env" || one.key == "file");
    let mut finding = Diagnostic::error("E106", message);
    if is_reference {
        finding = finding.help("{ env = … } and { file = … } stand for secrets only");
    }
    reader.push(finding, &node.span);
}

/// The node's text, or an error that it must be text.
pub(super) fn as_text<'n>(reader: &mut Reader<'_>, node: &'n Node, label: &str) -> Option<&'n str> {
    if let RawValue::Text(text) = &node.value {
        return Some(text);
    }
    let message = format!("{label} must be text, found {}", node.kind());
    mistyped(reader, node, message);
    None
}

/// The text of `key`.
pub(super) fn text(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
) -> Option<String> {
    let node = table.get(key)?;
    as_text(reader, node, &table.label(key)).map(str::to_owned)
}

/// The boolean of `key`.
pub(super) fn boolean(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
) -> Option<bool> {
    let node = table.get(key)?;
    if let RawValue::Bool(yes) = node.value {
        return Some(yes);
    }
    let message = format!(
        "{} must be true or false, found {}",
        table.label(key),
        node.kind()
    );
    mistyped(reader, node, message);
    None
}

/// The integer of `key`, within `range`.
pub(super) fn integer<T>(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    range: RangeInclusive<T>,
) -> Option<T>
where
    T: Copy + PartialOrd + Display + TryFrom<i128> + Into<i128>,
{
    let node = table.get(key)?;
    let label = table.label(key);
    let RawValue::Number(number) = &node.value else {
        let message = format!("{label} must be an integer, found {}", node.kind());
        mistyped(reader, node, message);
        return None;
    };
    let NumberValue::Integer(value) = number.value else {
        let message = format!("{label} must be an integer, found {}", number.written);
        reader.error("E106", &node.span, message);
        return None;
    };
    let found = T::try_from(value)
        .ok()
        .filter(|value| range.contains(value));
    if found.is_none() {
        let (least, most): (i128, i128) = ((*range.start()).into(), (*range.end()).into());
        let message = if value < least {
            format!("{label} must be at least {least}")
        } else {
            format!("{label} must be at most {most}")
        };
        reader.error("E202", &node.span, message);
    }
    found
}

/// The duration of `key`, within `range`.
pub(super) fn duration(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    range: RangeInclusive<Duration>,
) -> Option<Duration> {
    let node = table.get(key)?;
    let label = table.label(key);
    let text = as_text(reader, node, &label)?;
    let Some(duration) = parse_duration(text) else {
        wrong(
            reader,
            node,
            format!("{text:?} is not a duration"),
            "an integer with ms, s, m, h or d: \"500ms\"",
        );
        return None;
    };
    if range.contains(&duration) {
        return Some(duration);
    }
    let message = if duration < *range.start() {
        format!("{label} must be at least {}", show_duration(*range.start()))
    } else {
        format!("{label} must be at most {}", show_duration(*range.end()))
    };
    reader.error("E202", &node.span, message);
    None
}

/// Any duration but none at all.
pub(super) fn positive() -> RangeInclusive<Duration> {
    Duration::from_millis(1)..=Duration::MAX
}

fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (factor, unit) in [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ] {
        if ms >= factor && ms.is_multiple_of(factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms")
}

/// The size of a node, at least one byte.
pub(super) fn as_size(reader: &mut Reader<'_>, node: &Node, label: &str) -> Option<ByteSize> {
    let size = if let Some(number) = node.number() {
        match number.value {
            NumberValue::Integer(value) => u64::try_from(value).ok().map(ByteSize::new),
            NumberValue::Float(_) => None,
        }
    } else if let Some(text) = node.text() {
        parse_size(text)
    } else {
        let message = format!("{label} must be a size, found {}", node.kind());
        mistyped(reader, node, message);
        return None;
    };
    let Some(size) = size else {
        // As it stands in the file, quotes included.
        let written = reader.text.get(node.span.clone()).unwrap_or_default();
        let message = format!("{written} is not a size");
        wrong(
            reader,
            node,
            message,
            "an integer with B, KB, MB, GB, KiB, MiB or GiB: \"10GiB\"",
        );
        return None;
    };
    if size.get() == 0 {
        reader.error("E202", &node.span, format!("{label} must be at least 1"));
        return None;
    }
    Some(size)
}

/// The size of `key`.
pub(super) fn size(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
) -> Option<ByteSize> {
    let node = table.get(key)?;
    as_size(reader, node, &table.label(key))
}

/// A node that must be one of a list of words.
pub(super) fn as_word<T: Copy>(
    reader: &mut Reader<'_>,
    node: &Node,
    label: &str,
    words: &[(&'static str, T)],
) -> Option<T> {
    let text = as_text(reader, node, label)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let spelled = || words.iter().map(|(word, _)| *word);
    let mut finding =
        Diagnostic::error("E106", format!("{label} cannot be {text:?}")).allowed(spelled());
    finding.label = nearest(text, spelled()).map(|near| format!("did you mean `{near}`?"));
    reader.push(finding, &node.span);
    None
}

/// The word of `key`.
pub(super) fn word<T: Copy>(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
) -> Option<T> {
    let node = table.get(key)?;
    as_word(reader, node, &table.label(key), words)
}

/// The items of a list of texts; one text counts as a list of one when
/// `single` is set.
pub(super) fn as_texts<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    label: &str,
    single: bool,
) -> Option<Vec<(&'n str, &'n Node)>> {
    if let Some(text) = node.text().filter(|_| single) {
        return Some(vec![(text, node)]);
    }
    let Some(items) = node.list() else {
        let wanted = if single { "text or a list" } else { "a list" };
        let message = format!("{label} must be {wanted}, found {}", node.kind());
        reader.error("E106", &node.span, message);
        return None;
    };
    let read: Vec<_> = items
        .iter()
        .filter_map(|item| as_text(reader, item, label).map(|text| (text, item)))
        .collect();
    (read.len() == items.len()).then_some(read)
}

/// A secret: text, `{ env = "NAME" }` or `{ file = "path" }`; a relative path
/// starts at `directory`.
pub(super) fn as_secret(
    reader: &mut Reader<'_>,
    node: &Node,
    label: &str,
    directory: &Path,
) -> Option<Secret> {
    if node.map().is_none() {
        reader.conceal(node);
    }
    let before = reader.findings.len();
    let secret = if let Some(text) = node.text() {
        Some(Secret::Literal(text.to_owned()))
    } else if node.map().is_some() {
        let mut table = reader.table(node, label, format!("in {label}"), format!("{label}."))?;
        let variable = text(reader, &mut table, "env").filter(|name| !name.is_empty());
        let file = text(reader, &mut table, "file").filter(|path| !path.is_empty());
        let complete = table.entries().len() == 1;
        table.finish(reader);
        match (variable, file) {
            (Some(variable), None) if complete => Some(Secret::Env(variable)),
            (None, Some(file)) if complete => Some(Secret::File(directory.join(file))),
            (Some(_) | None, Some(_) | None) => None,
        }
    } else {
        None
    };
    if secret.is_none() {
        reader.conceal(node);
    }
    // A wrong key inside has been told of already.
    if secret.is_none() && reader.findings.len() == before {
        wrong(
            reader,
            node,
            format!("{label} is not a secret"),
            "\"text\", { env = \"NAME\" } or { file = \"path\" }",
        );
    }
    secret
}

/// The secret of `key`.
pub(super) fn secret(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    directory: &Path,
) -> Option<Secret> {
    let node = table.get(key)?;
    as_secret(reader, node, &table.label(key), directory)
}

/// The path of `key`, resolved at `directory`.
pub(super) fn path(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    directory: &Path,
) -> Option<PathBuf> {
    text(reader, table, key).map(|path| directory.join(path))
}

/// The address of `key`.
pub(super) fn address(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
) -> Option<Address> {
    let node = table.get(key)?;
    let text = as_text(reader, node, &table.label(key))?;
    let address = parse_address(text);
    if address.is_none() {
        wrong(
            reader,
            node,
            format!("{text:?} is not an address"),
            "host:port, [IPv6]:port, or :port for all interfaces",
        );
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_follow_their_grammar() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_hours(7 * 24)));
        for wrong in [
            "",
            "5",
            "1.5s",
            "-1s",
            "1 s",
            "5 weeks",
            "99999999999999999999d",
        ] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_size("24MiB"), Some(ByteSize::mebibytes(24)));
        assert_eq!(parse_size("10GB"), Some(ByteSize::new(10_000_000_000)));
        assert_eq!(parse_size("17"), Some(ByteSize::new(17)));
        for wrong in ["10 gigs", "10 GiB", "1.5GB", "GiB", "-1", "99999999999GiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn addresses_follow_their_grammar() {
        for right in ["127.0.0.1:9464", "[::1]:0", ":80", "host.example:1"] {
            assert_eq!(parse_address(right).unwrap().to_string(), right);
        }
        for wrong in [
            "",
            "host",
            "host:",
            "::1:80",
            "h:99999",
            "http://h:1",
            "a b:1",
            "h,g:1",
            "h:+1",
        ] {
            assert_eq!(parse_address(wrong), None, "{wrong}");
        }
    }
}
