//! Section 9 of the language reference as data; a test keeps both in step.

/// One difference.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// `D1` to `D39`.
    pub id: &'static str,
    /// The key or behaviour.
    pub what: &'static str,
    /// What it was in flusso 0.15.
    pub there: &'static str,
    /// What it is here.
    pub here: &'static str,
}

/// Findings about what 0.15 took: its files load there and not here (D17).
pub(super) const REFUSED_NOW: [&str; 6] = ["E201", "E202", "E203", "E204", "E205", "E207"];

/// Rows that need types or keys of the database: without it they are not told.
pub const ONLY_LIVE: [&str; 4] = ["D15", "D35", "D36", "D38"];

const fn row(id: &'static str, what: &'static str, there: &'static str, here: &'static str) -> Row {
    Row {
        id,
        what,
        there,
        here,
    }
}

/// All rows, in the order of the reference.
#[rustfmt::skip]
pub const ROWS: [Row; 39] = [
    row("D1", "`enabled`, scalar `required`, join `primary_key`", "mandatory", "optional, as its guide says of the second"),
    row("D2", "`on_error: stop`", "ends the process", "stops one feed"),
    row("D3", "`on_error: skip`", "logged and lost", "dead letter"),
    row("D4", "`max_retries`", "then the process ends", "then `retrying`; outages are waited out"),
    row("D5", "item 429; 404 of a delete", "rejections", "retried; success"),
    row("D6", "changed `refresh_interval`, replicas", "ignored", "applied"),
    row("D7", "changed shards, `text_analysis`, `auto_subfields`", "ignored until a reindex", "changed definition"),
    row("D8", "alias `{name}_{hash}`", "made", "not made; `aliases` can keep one for readers built on it"),
    row("D9", "alias while seeding", "may show a half-filled index", "moves only at the end"),
    row("D10", "`[server]`, `admin`/`flusso`", "one process; default password", "2.8; off until a password is set"),
    row("D11", "URL with TLS options or escaped password", "not for replication", "for both connections"),
    row("D12", "`prefix`", "verified by `run`", "on load"),
    row("D13", "lock", "MessagePack, rewritten by `run`", "JSON, written by `build` only; build again"),
    row("D14", "`--skip-backfill`, `--queue-capacity`, `--lag-poll-secs`, `design`", "exist", "do not; their variables give one warning"),
    row("D15", "a `primary_key` that is no key", "documents deleted, or ignored", "error"),
    row("D16", "composite id", "unescaped, table order; not seeded", "escaped, key order; like any other"),
    row("D17", "duplicate fields, `limit: 0`, empty `in`, `eq` with a list, unknown soft-delete field, `options.type`, `transforms` on other than text", "accepted", "errors"),
    row("D18", "soft delete with a NULL `when`", "row removed", "row stays"),
    row("D19", "filter value and modifier", "cut, rounded", "as written"),
    row("D20", "`filters` on `ids` + `through`", "ignored", "honoured"),
    row("D21", "doubly linked rows", "repeated", "once"),
    row("D22", "no `order_by`", "any order, any row", "by key"),
    row("D23", "`trim`", "blanks", "ASCII white space, as its guide says"),
    row("D24", "`options.fields` on an ordered enum", "drops `.sort`", "keeps it"),
    row("D25", "`.sort`", "replaces text inside other values", "whole values only"),
    row("D26", "map values", "typed by first sight", "by `values`"),
    row("D27", "json", "strict object: any key refused", "stored, not searched"),
    row("D28", "constants", "text", "typed"),
    row("D29", "timestamp; its fraction", "blank; 3 or 6 digits", "`T`; as needed"),
    row("D30", "time of day", "refused by the index", "tag `time`; as `timestamp` a moment of 1970-01-01"),
    row("D31", "float `0.1`, `10`", "`0.10000000149011612`, `10.0`", "`0.1`, `10`"),
    row("D32", "numeric, money", "rounded, or text", "exact numbers"),
    row("D33", "NaN, infinities", "text", "null, counted"),
    row("D34", "bytea", "`\\x…`", "base64, as its guide says"),
    row("D35", "interval", "Postgres style", "ISO 8601"),
    row("D36", "PG enums", "`check` error, transforms crash", "accepted"),
    row("D37", "keyword over 32766 bytes", "refused", "kept, not indexed"),
    row("D38", "type checks", "exact type", "also wider numbers, `keyword` for all"),
    row("D39", "JSON member order", "alphabetical", "of the file"),
];
