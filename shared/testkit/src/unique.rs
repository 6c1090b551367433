//! Names that no other test and no other run uses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// `{stem}_{run}_{n}`: fit for a database, a slot, a topic prefix or an index prefix
/// (lower case, digits, underscores) when the stem is. At most 23 bytes longer than the
/// stem.
#[must_use]
pub fn unique(stem: &str) -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let micros = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_micros());
    format!("{stem}_{:x}{micros:05x}_{number}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_fit_where_they_are_used() {
        let names: std::collections::BTreeSet<String> = (0..100).map(|_| unique("t")).collect();
        assert_eq!(names.len(), 100);
        for name in names {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(fits) && name.len() < 30, "{name}");
        }
    }
}
