//! `[capture]`, `[worker]`, `[server]`, `[telemetry]`.

use std::time::Duration;

use super::Walk;
use super::sink::is_http;
use crate::check::value;
use crate::deployment::{
    Address, Capture, OtlpProtocol, Secret, Server, SlotAck, Surface, Telemetry, Worker,
};
use crate::raw::{Node, NumberValue, Table};

/// Puts a value into its place, when there is one.
fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Walk<'_> {
    pub(super) fn capture(&mut self, node: Option<&Node>) -> Capture {
        let mut capture = Capture::default();
        let Some(node) = node else { return capture };
        let reader = &mut self.reader;
        let Some(mut table) = reader.table(node, "capture", "in [capture]", "capture.") else {
            return capture;
        };
        let words = [("sink", SlotAck::Sink), ("broker", SlotAck::Broker)];
        set(
            &mut capture.slot_ack,
            value::word(reader, &mut table, "slot_ack", &words),
        );
        let unlimited = table
            .get("max_retained_wal")
            .is_some_and(|node| node.text() == Some("none"));
        if unlimited {
            capture.max_retained_wal = None;
        } else if let Some(size) = value::size(reader, &mut table, "max_retained_wal") {
            capture.max_retained_wal = Some(size);
        }
        let range = Duration::from_millis(100)..=Duration::from_mins(1);
        set(
            &mut capture.heartbeat_interval,
            value::duration(reader, &mut table, "heartbeat_interval", range),
        );
        set(
            &mut capture.buffer_records,
            value::integer(reader, &mut table, "buffer_records", 1..=u64::MAX),
        );
        set(
            &mut capture.buffer_bytes,
            value::size(reader, &mut table, "buffer_bytes"),
        );
        table.finish(reader);
        capture
    }

    pub(super) fn worker(&mut self, node: Option<&Node>) -> Worker {
        let mut worker = Worker::default();
        let Some(node) = node else { return worker };
        let reader = &mut self.reader;
        let Some(mut table) = reader.table(node, "worker", "in [worker]", "worker.") else {
            return worker;
        };
        let counts: [(&'static str, &mut u64, std::ops::RangeInclusive<u64>); 7] = [
            (
                "batch_max_changes",
                &mut worker.batch_max_changes,
                1..=u64::MAX,
            ),
            ("in_flight", &mut worker.in_flight, 1..=64),
            ("max_uncommitted", &mut worker.max_uncommitted, 1..=u64::MAX),
            ("pool_size", &mut worker.pool_size, 2..=u64::MAX),
            (
                "fanout_threshold",
                &mut worker.fanout_threshold,
                1..=u64::MAX,
            ),
            ("seed_chunk_rows", &mut worker.seed_chunk_rows, 1..=u64::MAX),
            (
                "seed_concurrency",
                &mut worker.seed_concurrency,
                1..=u64::MAX,
            ),
        ];
        for (key, place, range) in counts {
            set(place, value::integer(reader, &mut table, key, range));
        }
        set(
            &mut worker.batch_max_bytes,
            value::size(reader, &mut table, "batch_max_bytes"),
        );
        let range = Duration::ZERO..=Duration::MAX;
        set(
            &mut worker.statement_timeout,
            value::duration(reader, &mut table, "statement_timeout", range),
        );
        worker.seed_rate = value::integer(reader, &mut table, "seed_rate", 1..=u64::MAX);
        set(
            &mut worker.freshness,
            value::duration(reader, &mut table, "freshness", value::positive()),
        );
        table.finish(reader);
        worker
    }

    pub(super) fn server(&mut self, node: Option<&Node>) -> Server {
        let mut server = Server::default();
        let table =
            node.and_then(|node| self.reader.table(node, "server", "in [server]", "server."));
        if let Some(mut table) = table {
            let (public, private) = self.addresses(&mut table);
            for surface in [&mut server.capture, &mut server.worker] {
                set(&mut surface.public_address, public.clone());
                set(&mut surface.private_address, private.clone());
            }
            self.surface(table.get("capture"), "capture", &mut server.capture);
            self.surface(table.get("worker"), "worker", &mut server.worker);
            let directory = self.directory;
            let mut secret = |key| value::secret(&mut self.reader, &mut table, key, directory);
            set(&mut server.admin_user, secret("admin_user"));
            server.admin_password = secret("admin_password");
            server.admin_token = secret("admin_token");
            self.literal(server.admin_password.as_ref(), &table, "admin_password");
            self.literal(server.admin_token.as_ref(), &table, "admin_token");
            table.finish(&mut self.reader);
        }
        self.server_overrides(&mut server);
        server
    }

    fn addresses(&mut self, table: &mut Table<'_>) -> (Option<Address>, Option<Address>) {
        (
            value::address(&mut self.reader, table, "public_address"),
            value::address(&mut self.reader, table, "private_address"),
        )
    }

    fn surface(&mut self, node: Option<&Node>, service: &str, surface: &mut Surface) {
        let Some(node) = node else { return };
        let label = format!("server.{service}");
        let Some(mut table) =
            self.reader
                .table(node, &label, format!("in [{label}]"), format!("{label}."))
        else {
            return;
        };
        let (public, private) = self.addresses(&mut table);
        set(&mut surface.public_address, public);
        set(&mut surface.private_address, private);
        table.finish(&mut self.reader);
    }

    /// Flags and twins name the addresses of the service that is started: the
    /// other service's do not matter to it.
    fn server_overrides(&mut self, server: &mut Server) {
        let check = |text: &str| {
            value::parse_address(text).ok_or("host:port, [IPv6]:port, or :port for all interfaces")
        };
        let public = self.winner(
            self.overrides.public_address.clone(),
            "FLUSSO_PUBLIC_ADDRESS",
            "server.public_address",
            None,
            None,
            check,
        );
        let private = self.winner(
            self.overrides.private_address.clone(),
            "FLUSSO_PRIVATE_ADDRESS",
            "server.private_address",
            None,
            None,
            check,
        );
        for surface in [&mut server.capture, &mut server.worker] {
            set(&mut surface.public_address, public.clone());
            set(&mut surface.private_address, private.clone());
        }
        let secret = |flag: Option<&String>, twin: &str| {
            flag.filter(|text| !text.is_empty())
                .map(|text| Secret::Literal(text.clone()))
                .or_else(|| self.variable(twin).map(|_| Secret::Env(twin.to_owned())))
        };
        let user = secret(self.overrides.admin_user.as_ref(), "FLUSSO_ADMIN_USER");
        let password = secret(
            self.overrides.admin_password.as_ref(),
            "FLUSSO_ADMIN_PASSWORD",
        );
        set(&mut server.admin_user, user);
        if password.is_some() {
            server.admin_password = password;
        }
    }

    pub(super) fn telemetry(&mut self, node: Option<&Node>) -> Telemetry {
        let mut telemetry = Telemetry::default();
        let Some(node) = node else { return telemetry };
        let Some(mut table) = self
            .reader
            .table(node, "telemetry", "in [telemetry]", "telemetry.")
        else {
            return telemetry;
        };
        telemetry.otlp_endpoint = self.endpoint(&mut table);
        let words = [
            ("http/protobuf", OtlpProtocol::HttpProtobuf),
            ("grpc", OtlpProtocol::Grpc),
        ];
        set(
            &mut telemetry.otlp_protocol,
            value::word(&mut self.reader, &mut table, "otlp_protocol", &words),
        );
        telemetry.otlp_headers = self.headers(&mut table, "otlp_headers");
        telemetry.service_name = self.service_name(&mut table);
        set(
            &mut telemetry.metrics_interval,
            value::duration(
                &mut self.reader,
                &mut table,
                "metrics_interval",
                value::positive(),
            ),
        );
        set(&mut telemetry.trace_ratio, self.trace_ratio(&mut table));
        table.finish(&mut self.reader);
        telemetry
    }

    fn endpoint(&mut self, table: &mut Table<'_>) -> Option<String> {
        let node = table.get("otlp_endpoint")?;
        let label = table.label("otlp_endpoint");
        let text = value::as_text(&mut self.reader, node, &label)?;
        if !is_http(text) {
            value::wrong(
                &mut self.reader,
                node,
                format!("{label} is not an address"),
                "http://host:port or https://host:port",
            );
            return None;
        }
        Some(text.to_owned())
    }

    fn service_name(&mut self, table: &mut Table<'_>) -> Option<String> {
        let node = table.get("service_name")?;
        let label = table.label("service_name");
        let text = value::as_text(&mut self.reader, node, &label)?;
        if text.trim().is_empty() {
            let message = format!("{label} is empty");
            value::wrong(&mut self.reader, node, message, "remove it");
            return None;
        }
        Some(text.to_owned())
    }

    fn trace_ratio(&mut self, table: &mut Table<'_>) -> Option<f64> {
        let node = table.get("trace_ratio")?;
        let ratio = node
            .number()
            .and_then(|number| match number.value {
                NumberValue::Float(value) => Some(value),
                NumberValue::Integer(0) => Some(0.0),
                NumberValue::Integer(1) => Some(1.0),
                NumberValue::Integer(_) => None,
            })
            .filter(|ratio| (0.0..=1.0).contains(ratio));
        if ratio.is_none() {
            value::wrong(
                &mut self.reader,
                node,
                "telemetry.trace_ratio must be a number from 0 to 1",
                "0.1 exports every tenth trace",
            );
        }
        ratio
    }
}
