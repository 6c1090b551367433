//! `[source]`.

use super::{Walk, literal_warning};
use crate::check::{names, value};
use crate::deployment::{
    AsynchronousCommit, Connection, ConnectionParameters, OnSlotLoss, RootCertificate, Secret,
    Source, SslMode, TlsSettings,
};
use crate::diagnostic::Diagnostic;
use crate::raw::{Node, RawValue, Table};

impl Walk<'_> {
    pub(super) fn source(&mut self, node: &Node) -> Option<Source> {
        let mut table = self
            .reader
            .table(node, "source", "in [source]", "source.")?;
        let kind = table.required(&mut self.reader, "type");
        if let Some(node) = kind {
            value::as_word(&mut self.reader, node, "source.type", &[("postgres", ())]);
        }
        let connection = self.connection(&mut table);
        let tls = self.tls(&mut table);
        let slot = self.slot(&mut table);
        let slot_failover = self.flag(&mut table, "slot_failover", false);
        let publication = self.publication(&mut table);
        let manage_publication = self.manage_publication(&mut table);
        let manage_replica_identity = self.flag(&mut table, "manage_replica_identity", true);
        let allow_stale_parents = self.flag(&mut table, "allow_stale_parents", false);
        let words = [("reseed", OnSlotLoss::Reseed), ("stop", OnSlotLoss::Stop)];
        let on_slot_loss = value::word(&mut self.reader, &mut table, "on_slot_loss", &words)
            .unwrap_or(OnSlotLoss::Reseed);
        let words = [
            ("possible", AsynchronousCommit::Possible),
            ("never", AsynchronousCommit::Never),
        ];
        let asynchronous_commit =
            value::word(&mut self.reader, &mut table, "asynchronous_commit", &words)
                .unwrap_or(AsynchronousCommit::Possible);
        let source = Source {
            connection: connection?,
            tls,
            directory: self.directory.to_owned(),
            slot,
            slot_failover,
            publication,
            manage_publication,
            manage_replica_identity,
            allow_stale_parents,
            on_slot_loss,
            asynchronous_commit,
        };
        self.literal_url(&source, &table);
        table.finish(&mut self.reader);
        Some(source)
    }

    pub(super) fn flag(&mut self, table: &mut Table<'_>, key: &'static str, default: bool) -> bool {
        value::boolean(&mut self.reader, table, key).unwrap_or(default)
    }

    fn connection(&mut self, table: &mut Table<'_>) -> Option<Connection> {
        const VARIABLE: &str = "DATABASE_URL";
        let from_environment = self
            .variable(VARIABLE)
            .map(|_| Connection::Url(Secret::Env(VARIABLE.to_owned())));
        let Some(node) = table.get("connection_url") else {
            // Whether the variable is set matters when it is resolved.
            return Some(Connection::Url(Secret::Env(VARIABLE.to_owned())));
        };
        let is_parts = matches!(&node.value, RawValue::Map(entries)
            if !entries.iter().any(|entry| entry.key == "env" || entry.key == "file"));
        if is_parts {
            let parts = self.parts(node);
            return parts.map(|parts| from_environment.unwrap_or(parts));
        }
        self.reserved(table, "connection_url", VARIABLE)
            .map(Connection::Url)
    }

    fn parts(&mut self, node: &Node) -> Option<Connection> {
        let label = "source.connection_url";
        let mut table =
            self.reader
                .table(node, label, format!("in {label}"), format!("{label}."))?;
        let host = value::text(&mut self.reader, &mut table, "host");
        let port = value::integer(&mut self.reader, &mut table, "port", 1..=u16::MAX);
        let user = value::text(&mut self.reader, &mut table, "user");
        let password = value::secret(&mut self.reader, &mut table, "password", self.directory);
        self.literal(password.as_ref(), &table, "password");
        let database = match table.required(&mut self.reader, "database") {
            Some(_) => value::text(&mut self.reader, &mut table, "database"),
            None => None,
        };
        table.finish(&mut self.reader);
        Some(Connection::Parts {
            host: host.unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: port.unwrap_or(5432),
            user: user.unwrap_or_else(|| "postgres".to_owned()),
            password,
            database: database?,
        })
    }

    fn tls(&mut self, table: &mut Table<'_>) -> TlsSettings {
        let sslmode = value::word(&mut self.reader, table, "sslmode", &SslMode::WORDS);
        let system = matches!(
            table.get("sslrootcert").map(|node| &node.value),
            Some(RawValue::Text(text)) if text == "system"
        );
        let sslrootcert = if system {
            Some(RootCertificate::System)
        } else {
            self.certificate(table, "sslrootcert")
                .map(RootCertificate::File)
        };
        TlsSettings {
            sslmode,
            sslrootcert,
            sslcert: self.certificate(table, "sslcert"),
            sslkey: self.certificate(table, "sslkey"),
        }
    }

    fn slot(&mut self, table: &mut Table<'_>) -> String {
        let written = table.get("slot");
        let file = value::text(&mut self.reader, table, "slot");
        self.winner(
            self.overrides.slot.clone(),
            "FLUSSO_SLOT",
            "source.slot",
            file,
            written,
            |text| {
                let right = (1..=63).contains(&text.len())
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                right
                    .then(|| text.to_owned())
                    .ok_or("lower-case letters, digits and _, at most 63")
            },
        )
        .unwrap_or_else(|| "flusso".to_owned())
    }

    fn publication(&mut self, table: &mut Table<'_>) -> String {
        let written = table.get("publication");
        let file = value::text(&mut self.reader, table, "publication");
        self.winner(
            self.overrides.publication.clone(),
            "FLUSSO_PUBLICATION",
            "source.publication",
            file,
            written,
            |text| {
                names::identifier(text).map_err(|_| {
                    "letters, digits, _ and $, not first a digit, at most 63 bytes; \
                     anything else in double quotes: '\"my publication\"'"
                })
            },
        )
        .unwrap_or_else(|| "flusso".to_owned())
    }

    fn manage_publication(&mut self, table: &mut Table<'_>) -> bool {
        const TWIN: &str = "FLUSSO_MANAGE_PUBLICATION";
        let file = self.flag(table, "manage_publication", true);
        if let Some(flag) = self.overrides.manage_publication {
            return flag;
        }
        let Some(written) = self.variable(TWIN).map(str::to_ascii_lowercase) else {
            return file;
        };
        match written.as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.reader.findings.push(
                    Diagnostic::error("E106", format!("{TWIN}: {written:?} is not a boolean"))
                        .help("true, false, 1, 0, yes, no, on or off"),
                );
                file
            }
        }
    }

    /// A URL that stands in the file can be checked now, TLS included; any
    /// other one when it is resolved.
    fn literal_url(&mut self, source: &Source, table: &Table<'_>) {
        let url = match &source.connection {
            Connection::Url(Secret::Literal(url)) => url.as_str(),
            Connection::Url(Secret::Env(_) | Secret::File(_)) => {
                self.both_or_none(table, "sslcert", "sslkey");
                return;
            }
            Connection::Parts { .. } => "",
        };
        let span = table
            .peek("connection_url")
            .map_or_else(|| table.span.clone(), |entry| entry.value.span.clone());
        match ConnectionParameters::new(source, url) {
            Ok(parameters) => {
                for name in &parameters.ignored {
                    let message = format!("source.connection_url: the parameter {name} is ignored");
                    self.reader.warning("W218", &span, message, "remove it");
                }
                if parameters.password.is_some() {
                    literal_warning(&mut self.reader, &span, "source.connection_url");
                }
            }
            Err(problem) => {
                self.reader
                    .error_help(problem.code(), &span, problem.to_string(), problem.help());
            }
        }
    }
}
