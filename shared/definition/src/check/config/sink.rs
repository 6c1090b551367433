//! `[sinks.<name>]`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Walk, literal_warning};
use crate::check::{names, value};
use crate::deployment::{
    Authorization, ByteSize, ClientCertificate, IndexOptions, OpenSearch, RefreshInterval, Secret,
    Sink, SinkKind, TextAnalysis,
};
use crate::raw::{Entry, Node, NumberValue, RawValue, Table};

/// What a sink can be.
#[derive(Clone, Copy)]
enum Kind {
    OpenSearch,
    Stdout,
}

/// Index settings that have a key of their own, or are the product's.
const NOT_IN_INDEX_SETTINGS: [&str; 5] = [
    "number_of_shards",
    "number_of_replicas",
    "refresh_interval",
    "gc_deletes",
    "analysis",
];

impl Walk<'_> {
    pub(super) fn sinks(&mut self, node: Option<&Node>) -> Vec<Sink> {
        let stdout = || {
            vec![Sink {
                name: "stdout".to_owned(),
                kind: SinkKind::Stdout { pretty: false },
            }]
        };
        let Some(node) = node else { return stdout() };
        let RawValue::Map(entries) = &node.value else {
            self.reader.conceal(node);
            let message = format!("sinks must be a table, found {}", node.kind());
            self.reader
                .error_help("E106", &node.span, message, "[sinks.primary]");
            return Vec::new();
        };
        if entries.is_empty() {
            return stdout();
        }
        let mut sinks: Vec<Sink> = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(name) = names::name(&entry.key) else {
                self.reader.error_help(
                    "E212",
                    &entry.key_span,
                    format!("{:?} is not a sink name", entry.key),
                    "letters, digits and _, not first a digit, at most 63",
                );
                continue;
            };
            if sinks.iter().any(|sink| sink.name == name) {
                let message = format!("the sink `{name}` is defined twice");
                self.reader
                    .error_help("E211", &entry.key_span, message, "rename one");
                continue;
            }
            if let Some(kind) = self.sink(&name, entry) {
                sinks.push(Sink { name, kind });
            }
        }
        sinks
    }

    fn sink(&mut self, name: &str, entry: &Entry) -> Option<SinkKind> {
        let label = format!("sinks.{name}");
        let mut table = self.reader.table(
            &entry.value,
            &label,
            format!("in [{label}]"),
            format!("{label}."),
        )?;
        let words = [("opensearch", Kind::OpenSearch), ("stdout", Kind::Stdout)];
        let word = table
            .required(&mut self.reader, "type")
            .and_then(|node| value::as_word(&mut self.reader, node, &table.label("type"), &words));
        let Some(word) = word else {
            // Nobody reads the other keys: any of them may hold a secret.
            for entry in table.entries().iter().filter(|entry| entry.key != "type") {
                self.reader.conceal(&entry.value);
            }
            return None;
        };
        let kind = match word {
            Kind::OpenSearch => self
                .opensearch(name, &mut table)
                .map(|sink| SinkKind::OpenSearch(Box::new(sink))),
            Kind::Stdout => Some(SinkKind::Stdout {
                pretty: self.flag(&mut table, "pretty", false),
            }),
        };
        table.finish(&mut self.reader);
        kind
    }

    fn opensearch(&mut self, name: &str, table: &mut Table<'_>) -> Option<OpenSearch> {
        let variables = format!("{}_OPENSEARCH", name.to_uppercase());
        let urls = self.urls(table, &format!("{variables}_URL"));
        let authorization = self.authorization(table, &variables);
        let headers = self.headers(table, "headers");
        let tls_verify = self.flag(table, "tls_verify", true);
        let ca_file = self.certificate(table, "ca_file");
        let certificate = self.certificate(table, "client_cert");
        let key = self.certificate(table, "client_key");
        self.both_or_none(table, "client_cert", "client_key");
        let gzip = self.flag(table, "gzip", false);
        let reader = &mut self.reader;
        let any = i64::MIN..=i64::MAX;
        let batch_size =
            value::integer(reader, table, "batch_size", any).map_or(1000, at_least_one);
        let max_bytes = bytes(reader, table, "max_bytes").unwrap_or(ByteSize::new(10_485_760));
        let max_concurrent_requests =
            value::integer(reader, table, "max_concurrent_requests", 1..=64).unwrap_or(4);
        let timeout =
            value::integer(reader, table, "timeout_secs", 1..=u64::from(u32::MAX)).unwrap_or(30);
        let max_retries = value::integer(reader, table, "max_retries", 0..=u64::MAX).unwrap_or(3);
        let refresh_when_idle = self.flag(table, "refresh_when_idle", true);
        let index = self.index_options(table);
        Some(OpenSearch {
            urls: urls?,
            authorization,
            headers,
            tls_verify,
            ca_file,
            client_certificate: match (certificate, key) {
                (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
                (Some(_) | None, None) | (None, Some(_)) => None,
            },
            gzip,
            batch_size,
            max_bytes,
            max_concurrent_requests,
            timeout: Duration::from_secs(timeout),
            max_retries,
            refresh_when_idle,
            index,
        })
    }

    fn urls(&mut self, table: &mut Table<'_>, variable: &str) -> Option<Vec<Secret>> {
        let from_environment = self
            .variable(variable)
            .map(|_| vec![Secret::Env(variable.to_owned())]);
        let Some(node) = table.get("url") else {
            if from_environment.is_none() {
                self.reader.error_help(
                    "E110",
                    &table.head(),
                    format!("{} is missing", table.label("url")),
                    format!("\"https://host:9200\", or set {variable}"),
                );
            }
            return from_environment;
        };
        let label = table.label("url");
        let items = node.list().unwrap_or(std::slice::from_ref(node));
        if items.is_empty() {
            value::wrong(
                &mut self.reader,
                node,
                format!("{label} lists no address"),
                "give at least one",
            );
            return None;
        }
        let mut urls = Vec::with_capacity(items.len());
        for item in items {
            let secret = value::as_secret(&mut self.reader, item, &label, self.directory)?;
            if let Some(text) = secret.literal()
                && !is_http(text)
            {
                value::wrong(
                    &mut self.reader,
                    item,
                    format!("{label} is not an address"),
                    "http://host:port or https://host:port",
                );
                return None;
            }
            if secret.literal().is_some_and(has_password) {
                literal_warning(&mut self.reader, &item.span, &label);
            }
            urls.push(secret);
        }
        let literal = urls.iter().all(|url| url.literal().is_some());
        match from_environment {
            Some(from_environment) if literal => Some(from_environment),
            Some(_) | None => Some(urls),
        }
    }

    fn authorization(&mut self, table: &mut Table<'_>, variables: &str) -> Authorization {
        let username = self.reserved(table, "username", &format!("{variables}_USERNAME"));
        let password = self.reserved(table, "password", &format!("{variables}_PASSWORD"));
        let api_key = self.reserved(table, "api_key", &format!("{variables}_API_KEY"));
        let bearer = self.reserved(table, "bearer_token", &format!("{variables}_BEARER_TOKEN"));
        self.literal(password.as_ref(), table, "password");
        self.literal(api_key.as_ref(), table, "api_key");
        self.literal(bearer.as_ref(), table, "bearer_token");
        let ways: Vec<&str> = [
            ("username", username.is_some()),
            ("api_key", api_key.is_some()),
            ("bearer_token", bearer.is_some()),
        ]
        .into_iter()
        .filter_map(|(way, stated)| stated.then_some(way))
        .collect();
        if ways.len() > 1 {
            let span = ways
                .iter()
                .filter_map(|way| table.peek(way))
                .map(|entry| entry.key_span.clone())
                .next_back()
                .unwrap_or_else(|| table.head());
            self.reader.error_help(
                "E210",
                &span,
                format!(
                    "a sink is authorised in one way, found {}",
                    ways.join(" and ")
                ),
                "keep one of them; reserved variables count too",
            );
        }
        if username.is_none()
            && let Some(entry) = table.peek("password")
        {
            self.reader.warning(
                "W222",
                &entry.key_span,
                format!("{} is ignored without a username", table.label("password")),
                "set username, or remove it",
            );
        }
        match (username, api_key, bearer) {
            (Some(username), _, _) => Authorization::Basic { username, password },
            (None, Some(key), _) => Authorization::ApiKey(key),
            (None, None, Some(token)) => Authorization::Bearer(token),
            (None, None, None) => Authorization::None,
        }
    }

    fn index_options(&mut self, table: &mut Table<'_>) -> IndexOptions {
        let mut options = IndexOptions::default();
        if let Some(shards) = self.shards(table) {
            options.number_of_shards = shards;
        }
        if let Some(replicas) = self.replicas(table) {
            options.number_of_replicas = replicas;
        }
        if let Some(interval) = self.refresh_interval(table) {
            options.refresh_interval = interval;
        }
        let range = Duration::from_mins(2)..=Duration::MAX;
        if let Some(kept) = value::duration(&mut self.reader, table, "gc_deletes", range) {
            options.gc_deletes = kept;
        }
        options.pipeline = self.pipeline(table);
        let words = [
            ("builtin", TextAnalysis::Builtin),
            ("icu", TextAnalysis::Icu),
        ];
        if let Some(analysis) = value::word(&mut self.reader, table, "text_analysis", &words) {
            options.text_analysis = analysis;
        }
        options.auto_subfields = self.flag(table, "auto_subfields", true);
        options.index_settings = self.index_settings(table);
        options
    }

    /// `number_of_shards`; 0 counts as 1.
    pub(super) fn shards(&mut self, table: &mut Table<'_>) -> Option<u32> {
        // OpenSearch's own default limit.
        value::integer(&mut self.reader, table, "number_of_shards", 0..=1024)
            .map(|shards: u32| shards.max(1))
    }

    pub(super) fn replicas(&mut self, table: &mut Table<'_>) -> Option<u32> {
        value::integer(&mut self.reader, table, "number_of_replicas", 0..=u32::MAX)
    }

    pub(super) fn pipeline(&mut self, table: &mut Table<'_>) -> Option<String> {
        let pipeline = value::text(&mut self.reader, table, "pipeline")?;
        if pipeline.trim().is_empty() {
            if let Some(entry) = table.peek("pipeline") {
                let message = format!("{} is empty", table.label("pipeline"));
                value::wrong(&mut self.reader, &entry.value, message, "remove it");
            }
            return None;
        }
        Some(pipeline)
    }

    /// `refresh_interval`: a duration, or -1.
    pub(super) fn refresh_interval(&mut self, table: &mut Table<'_>) -> Option<RefreshInterval> {
        let node = table.get("refresh_interval")?;
        let written = node
            .text()
            .or_else(|| node.number().map(|number| number.written.as_str()));
        if written.is_some_and(|written| written.trim() == "-1") {
            return Some(RefreshInterval::Off);
        }
        value::duration(
            &mut self.reader,
            table,
            "refresh_interval",
            value::positive(),
        )
        .map(RefreshInterval::Every)
    }

    /// `index_settings`, flattened to dotted names without `index.`.
    pub(super) fn index_settings(&mut self, table: &mut Table<'_>) -> Map<String, Value> {
        let mut settings = Map::new();
        let Some(node) = table.get("index_settings") else {
            return settings;
        };
        let label = table.label("index_settings");
        if let Some(entries) = node.map() {
            self.flatten(entries, "", &label, &mut settings);
        } else {
            let message = format!("{label} must be a table, found {}", node.kind());
            self.reader.error("E106", &node.span, message);
        }
        settings
    }

    fn flatten(
        &mut self,
        entries: &[Entry],
        prefix: &str,
        label: &str,
        settings: &mut Map<String, Value>,
    ) {
        for entry in entries {
            let name = match prefix {
                "" => entry.key.clone(),
                prefix => format!("{prefix}.{}", entry.key),
            };
            if let RawValue::Map(inner) = &entry.value.value {
                self.flatten(inner, &name, label, settings);
                continue;
            }
            let name = name.strip_prefix("index.").unwrap_or(&name).to_owned();
            let refused = NOT_IN_INDEX_SETTINGS.iter().any(|key| {
                name.strip_prefix(key)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            if refused {
                let help = if name.starts_with("analysis") {
                    "analysis is the product's; text_analysis chooses it"
                } else {
                    "set the key of that name beside index_settings"
                };
                let message = format!("{label} cannot hold `{name}`");
                self.reader
                    .error_help("E213", &entry.key_span, message, help);
                continue;
            }
            if has_date(&entry.value) {
                let message = format!("{label}.{name} cannot be a date");
                value::wrong(&mut self.reader, &entry.value, message, "write it as text");
                continue;
            }
            match entry.value.to_json() {
                Ok(value) => {
                    if settings.insert(name.clone(), value).is_some() {
                        let message = format!("{label} holds `{name}` twice");
                        self.reader
                            .error_help("E211", &entry.key_span, message, "remove one");
                    }
                }
                Err(span) => {
                    self.reader.error(
                        "E106",
                        &span,
                        "this number is neither a 64-bit integer nor finite",
                    );
                }
            }
        }
    }
}

/// Whether a value is or holds one of TOML's dates, which JSON has not.
fn has_date(node: &Node) -> bool {
    matches!(node.value, RawValue::DateTime(_))
        || node.list().unwrap_or_default().iter().any(has_date)
        || node
            .map()
            .unwrap_or_default()
            .iter()
            .any(|entry| has_date(&entry.value))
}

/// Bytes of `key`, where less than 1 counts as 1.
fn bytes(
    reader: &mut crate::raw::Reader<'_>,
    table: &mut Table<'_>,
    key: &'static str,
) -> Option<ByteSize> {
    let node = table.get(key)?;
    let is_less = match &node.value {
        RawValue::Number(number) => {
            matches!(number.value, NumberValue::Integer(value) if value < 1)
        }
        RawValue::Text(text) => value::parse_size(text).is_some_and(|size| size.get() < 1),
        RawValue::Null
        | RawValue::Bool(_)
        | RawValue::DateTime(_)
        | RawValue::List(_)
        | RawValue::Map(_) => false,
    };
    if is_less {
        return Some(ByteSize::new(1));
    }
    value::size(reader, table, key)
}

fn at_least_one(value: i64) -> u64 {
    u64::try_from(value).map_or(1, |value| value.max(1))
}

/// Whether a URL carries a password: `https://user:password@host`.
pub(super) fn has_password(url: &str) -> bool {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .and_then(|(user, _)| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}

/// `http(s)://` and something behind it.
pub(super) fn is_http(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    }) && !text.contains(char::is_whitespace)
}
