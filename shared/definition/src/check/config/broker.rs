//! `[broker]`.

use super::sink::has_password;
use super::{Walk, is_sensitive, literal_warning};
use crate::check::value;
use crate::deployment::{
    Broker, Compression, Framing, KafkaProperty, SET_BY_THE_PRODUCT, SchemaRegistry, Secret,
};
use crate::raw::{Entry, Node, RawValue, Table};

impl Walk<'_> {
    pub(super) fn broker(&mut self, node: Option<&Node>) -> Broker {
        let mut broker = Broker::default();
        let empty = Node {
            span: 0..0,
            value: RawValue::Map(Vec::new()),
        };
        let node = node.unwrap_or(&empty);
        let Some(mut table) = self.reader.table(node, "broker", "in [broker]", "broker.") else {
            return broker;
        };
        self.bootstrap_servers(&mut table, &mut broker);
        self.topic_prefix(&mut table, &mut broker);
        let reader = &mut self.reader;
        if let Some(partitions) = value::integer(reader, &mut table, "partitions", 1..=1000) {
            broker.partitions = partitions;
        }
        // Kafka's own limit is an int16.
        broker.replication_factor =
            value::integer(reader, &mut table, "replication_factor", 1..=32_767);
        if let Some(retention) = value::duration(reader, &mut table, "retention", value::positive())
        {
            broker.retention = retention;
        }
        broker.retention_bytes = value::size(reader, &mut table, "retention_bytes");
        if let Some(retention) =
            value::duration(reader, &mut table, "dlq_retention", value::positive())
        {
            broker.dlq_retention = retention;
        }
        let words = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ]
        .map(|compression| (compression.as_str(), compression));
        if let Some(compression) = value::word(reader, &mut table, "compression", &words) {
            broker.compression = compression;
        }
        self.registry(&mut table, &mut broker);
        if let Some(node) = table.get("kafka") {
            if let Some(entries) = node.map() {
                self.properties(entries, "", &mut broker.kafka);
            } else {
                self.reader.conceal(node);
                let message = format!("broker.kafka must be a table, found {}", node.kind());
                self.reader.error("E106", &node.span, message);
            }
        }
        table.finish(&mut self.reader);
        broker
    }

    fn bootstrap_servers(&mut self, table: &mut Table<'_>, broker: &mut Broker) {
        let label = "broker.bootstrap_servers";
        let written = table.get("bootstrap_servers");
        let file = written.and_then(|node| {
            value::as_texts(&mut self.reader, node, label, true).map(|texts| {
                texts
                    .into_iter()
                    .map(|(text, _)| text)
                    .collect::<Vec<_>>()
                    .join(",")
            })
        });
        let servers = self.winner(
            self.overrides.bootstrap_servers.clone(),
            "FLUSSO_BOOTSTRAP_SERVERS",
            label,
            file,
            written,
            |text| {
                let servers: Vec<String> = text
                    .split(',')
                    .map(|server| server.trim().to_owned())
                    .collect();
                let right = servers
                    .iter()
                    .all(|server| !server.is_empty() && !server.contains(char::is_whitespace));
                right
                    .then_some(servers)
                    .ok_or("host:port, several separated by commas")
            },
        );
        if let Some(servers) = servers {
            broker.bootstrap_servers = servers;
        }
    }

    fn topic_prefix(&mut self, table: &mut Table<'_>, broker: &mut Broker) {
        let written = table.get("topic_prefix");
        let file = value::text(&mut self.reader, table, "topic_prefix");
        let prefix = self.winner(
            self.overrides.topic_prefix.clone(),
            "FLUSSO_TOPIC_PREFIX",
            "broker.topic_prefix",
            file,
            written,
            |text| {
                let right = (1..=100).contains(&text.len())
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
                right
                    .then(|| text.to_owned())
                    .ok_or("letters, digits and . _ -, at most 100")
            },
        );
        if let Some(prefix) = prefix {
            broker.topic_prefix = prefix;
        }
    }

    fn registry(&mut self, table: &mut Table<'_>, broker: &mut Broker) {
        let directory = self.directory;
        let mut secret = |key| value::secret(&mut self.reader, table, key, directory);
        let url = secret("schema_registry_url");
        let username = secret("schema_registry_username");
        let password = secret("schema_registry_password");
        self.literal(password.as_ref(), table, "schema_registry_password");
        if let Some(entry) = table.peek("schema_registry_url")
            && url
                .as_ref()
                .and_then(Secret::literal)
                .is_some_and(has_password)
        {
            let label = table.label("schema_registry_url");
            literal_warning(&mut self.reader, &entry.value.span, &label);
        }
        let has_url = table.peek("schema_registry_url").is_some();
        for key in ["schema_registry_username", "schema_registry_password"] {
            if let Some(entry) = table.peek(key)
                && !has_url
            {
                self.reader.error_help(
                    "E210",
                    &entry.key_span,
                    format!("{} without schema_registry_url", table.label(key)),
                    "give the URL, or remove it",
                );
            }
        }
        let words = [
            ("single_object", Framing::SingleObject),
            ("confluent", Framing::Confluent),
        ];
        let framing = value::word(&mut self.reader, table, "framing", &words);
        let expected = if has_url {
            Framing::Confluent
        } else {
            Framing::SingleObject
        };
        if let Some(framing) = framing
            && framing != expected
            && let Some(entry) = table.peek("framing")
        {
            let (message, help) = if has_url {
                (
                    "framing is single_object although there is a schema registry",
                    "remove schema_registry_url, or framing",
                )
            } else {
                (
                    "framing is confluent without a schema registry",
                    "set schema_registry_url, or remove framing",
                )
            };
            self.reader
                .error_help("E210", &entry.value.span, message, help);
        }
        broker.framing = expected;
        broker.schema_registry = url.map(|url| SchemaRegistry {
            url,
            username,
            password,
        });
    }

    /// Properties, whose names may be quoted or bare (then they are nested).
    fn properties(&mut self, entries: &[Entry], prefix: &str, found: &mut Vec<KafkaProperty>) {
        for entry in entries {
            let name = match prefix {
                "" => entry.key.clone(),
                prefix => format!("{prefix}.{}", entry.key),
            };
            if entry.value.map().is_none() {
                self.reader.conceal(&entry.value);
            }
            if SET_BY_THE_PRODUCT.contains(&name.as_str()) {
                let message = format!("kafka: `{name}` is set by the product");
                self.reader
                    .error_help("E109", &entry.key_span, message, "remove it");
                continue;
            }
            let label = format!("kafka: `{name}`");
            let value = match &entry.value.value {
                RawValue::Map(inner) if !is_reference(inner) => {
                    self.properties(inner, &name, found);
                    continue;
                }
                RawValue::Map(_) | RawValue::Text(_) => {
                    value::as_secret(&mut self.reader, &entry.value, &label, self.directory)
                }
                RawValue::Number(number) => Some(Secret::Literal(number.written.clone())),
                RawValue::Bool(yes) => Some(Secret::Literal(yes.to_string())),
                RawValue::Null | RawValue::DateTime(_) | RawValue::List(_) => {
                    let message = format!("{label} cannot be {}", entry.value.kind());
                    self.reader.error_help(
                        "E106",
                        &entry.value.span,
                        message,
                        "text, a number, a boolean or a secret",
                    );
                    None
                }
            };
            let Some(value) = value else { continue };
            if is_sensitive(&name) && value.literal().is_some() {
                literal_warning(&mut self.reader, &entry.value.span, &label);
            }
            if let Err(refused) = self.files.kafka_property(&name, value.literal()) {
                self.reader
                    .error_help("E109", &entry.key_span, refused.message, refused.help);
                continue;
            }
            if found.iter().any(|property| property.name == name) {
                let message = format!("{label} stands here twice");
                self.reader
                    .error_help("E211", &entry.key_span, message, "remove one");
                continue;
            }
            found.push(KafkaProperty { name, value });
        }
    }
}

/// `{ env = … }` or `{ file = … }`.
fn is_reference(entries: &[Entry]) -> bool {
    !entries.is_empty()
        && entries
            .iter()
            .all(|entry| entry.key == "env" || entry.key == "file")
}
