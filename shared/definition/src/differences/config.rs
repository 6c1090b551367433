//! The rows about `flusso.toml`, the environment and the lock.

use std::path::PathBuf;

use super::{File, Found, Input, Spot, entry, text};
use crate::raw::{Entry, Node, RawValue};

/// Variables of flusso 0.15 that mean nothing any more (D14).
const RETIRED: [&str; 5] = [
    "FLUSSO_SKIP_BACKFILL",
    "FLUSSO_QUEUE_CAPACITY",
    "FLUSSO_LAG_POLL_SECS",
    "FLUSSO_DESIGN_ADDRESS",
    "FLUSSO_DESIGN_NO_OPEN",
];

/// Parameters of a connection URL that concern TLS.
const TLS_PARAMETERS: [&str; 4] = ["sslmode=", "sslrootcert=", "sslcert=", "sslkey="];

/// An index whose schema file is to be looked at.
pub(super) struct IndexFile {
    pub(super) name: String,
    pub(super) schema: PathBuf,
    /// `auto_subfields` and the like are of no concern to a stdout sink.
    pub(super) is_searched: bool,
}

/// Notes what `flusso.toml` does, and names its schema files.
pub(super) fn explain(
    input: &Input<'_>,
    file: &File<'_>,
    root: &Node,
    found: &mut Found,
) -> Vec<IndexFile> {
    source(input, file, root, found);
    prefix(input, file, root, found);
    server(file, root, found);
    let searched = sinks(file, root, found);
    indexes(input, file, root, &searched, found)
}

fn source(input: &Input<'_>, file: &File<'_>, root: &Node, found: &mut Found) {
    let Some(source) = entry(root, "source").map(|entry| &entry.value) else {
        return;
    };
    let written = entry(source, "connection_url");
    let from_environment = |name: &str| input.environment.get(name).map(String::as_str);
    let url = match written.map(|entry| &entry.value) {
        None => from_environment("DATABASE_URL"),
        Some(node) => match (&node.value, text(node, "env")) {
            (_, Some(name)) => from_environment(name),
            // The variable wins over what is literal.
            (RawValue::Text(url), None) => from_environment("DATABASE_URL").or(Some(url.as_str())),
            (_, None) => from_environment("DATABASE_URL"),
        },
    };
    let Some(url) = url else { return };
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let credentials = address.rsplit_once('@').map_or("", |(before, _)| before);
    let mut whats = Vec::new();
    if TLS_PARAMETERS.iter().any(|name| parameters.contains(name)) {
        whats.push("TLS options");
    }
    if credentials.contains('%') {
        whats.push("escaped credentials");
    }
    if !whats.is_empty() {
        let entry = written.or_else(|| entry(root, "source"));
        found.extend(
            "D11",
            entry.map(|entry| file.at(entry, None, whats.join(", "))),
        );
    }
}

fn prefix(input: &Input<'_>, file: &File<'_>, root: &Node, found: &mut Found) {
    if let Some(written) = entry(root, "prefix")
        && text(root, "prefix").is_some_and(|prefix| !prefix.is_empty())
    {
        found.push("D12", file.at(written, None, ""));
    }
    if input.is_set("FLUSSO_INDEX_PREFIX") {
        found.push("D12", Spot::variable("FLUSSO_INDEX_PREFIX"));
    }
}

/// One process served both surfaces, with a password that everybody knows.
fn server(file: &File<'_>, root: &Node, found: &mut Found) {
    let server = entry(root, "server").map(|entry| &entry.value);
    for key in ["public_address", "private_address"] {
        found.extend(
            "D10",
            server
                .and_then(|server| entry(server, key))
                .map(|entry| file.at(entry, None, format!("{key} of one process"))),
        );
    }
    let has_password = server.is_some_and(|server| {
        entry(server, "admin_password").is_some() || entry(server, "admin_token").is_some()
    });
    if !has_password {
        let what = "no admin_password: the private surface is off".to_owned();
        found.push("D10", file.whole(what));
    }
}

/// Notes what the sinks do; the names of those that are searched.
fn sinks<'n>(file: &File<'_>, root: &'n Node, found: &mut Found) -> Vec<&'n str> {
    let sinks = entry(root, "sinks").and_then(|entry| entry.value.map());
    let mut searched = Vec::new();
    for sink in sinks.unwrap_or_default() {
        if text(&sink.value, "type") != Some("opensearch") {
            continue;
        }
        searched.push(sink.key.trim());
        let written = entry(&sink.value, "max_retries");
        let what = if written.is_some() { "" } else { "default: 3" };
        found.push("D4", file.at(written.unwrap_or(sink), None, what));
        found.push("D5", file.at(sink, None, ""));
        settings(file, &sink.value, found);
    }
    searched
}

/// Settings that take effect now, or make a changed definition.
fn settings(file: &File<'_>, node: &Node, found: &mut Found) {
    for (id, key) in [
        ("D6", "refresh_interval"),
        ("D6", "number_of_replicas"),
        ("D7", "number_of_shards"),
        ("D7", "text_analysis"),
        ("D7", "auto_subfields"),
    ] {
        found.extend(id, entry(node, key).map(|entry| file.at(entry, None, key)));
    }
}

fn indexes(
    input: &Input<'_>,
    file: &File<'_>,
    root: &Node,
    searched: &[&str],
    found: &mut Found,
) -> Vec<IndexFile> {
    let directory = input
        .config
        .parent()
        .unwrap_or_else(|| std::path::Path::new(""));
    let list = entry(root, "index").and_then(|entry| entry.value.list());
    let mut files = Vec::new();
    for node in list.unwrap_or_default() {
        let Some(named) = entry(node, "name") else {
            continue;
        };
        let name = named.value.text().unwrap_or_default().trim().to_lowercase();
        let file = File {
            index: Some(&name),
            ..*file
        };
        if entry(node, "enabled").is_none() {
            found.push("D1", file.at(named, None, "without `enabled`"));
        }
        on_error(&file, root, node, named, found);
        settings(&file, node, found);
        let is_searched = match entry(node, "sinks").and_then(|entry| entry.value.list()) {
            None => !searched.is_empty(),
            Some(chosen) => chosen.iter().any(|name| {
                name.text()
                    .is_some_and(|name| searched.contains(&name.trim()))
            }),
        };
        if is_searched {
            found.push("D8", file.at(named, None, ""));
            found.push("D9", file.at(named, None, ""));
        }
        if let Some(schema) = text(node, "schema") {
            files.push(IndexFile {
                name: name.clone(),
                schema: directory.join(schema),
                is_searched,
            });
        }
    }
    files
}

/// The index's own key, else that of all, else the default.
fn on_error(file: &File<'_>, root: &Node, index: &Node, named: &Entry, found: &mut Found) {
    let written = entry(index, "on_error").or_else(|| entry(root, "on_error"));
    match written.and_then(|entry| entry.value.text()) {
        None => found.push("D2", file.at(named, None, "default: stop")),
        Some("stop") => found.extend("D2", written.map(|entry| file.at(entry, None, ""))),
        Some("skip") => found.extend("D3", written.map(|entry| file.at(entry, None, ""))),
        Some(_) => {}
    }
}

/// What is not in the files: variables, and a lock beside them.
pub(super) fn surroundings(input: &Input<'_>, found: &mut Found) {
    for name in RETIRED {
        if input.is_set(name) {
            found.push("D14", Spot::variable(name));
        }
    }
    let lock = match input.environment.get("FLUSSO_LOCK") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => input.config.with_file_name("flusso.lock"),
    };
    let is_old = match input.files.read(&lock) {
        Ok(text) => serde_json::from_str::<serde_json::Value>(&text).is_err(),
        // MessagePack is not UTF-8.
        Err(error) => error.kind() == std::io::ErrorKind::InvalidData,
    };
    if is_old {
        let shown = lock.display().to_string();
        let file = File {
            shown: &shown,
            text: "",
            index: None,
        };
        found.push("D13", file.whole("written by 0.15".to_owned()));
    }
}
