//! (being written)

/// Reads a duration: an integer with `ms`, `s`, `m`, `h` or `d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let _ = text;
    None
}

/// Reads a size: an integer of bytes, or with `B` `KB` `MB` `GB` `KiB` `MiB` `GiB`.
#[must_use]
pub fn parse_size(text: &str) -> Option<crate::deployment::ByteSize> {
    let _ = text;
    None
}
