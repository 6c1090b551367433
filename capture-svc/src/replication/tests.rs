//! The session against a scripted server: the other end of a pipe in memory.
//! Time is paused: it moves on only when everybody waits.

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_postgres::error::SqlState;

use super::session::start_command;
use super::*;

/// The server's end.
struct Server {
    pipe: DuplexStream,
    input: BytesMut,
}

impl Server {
    async fn send(&mut self, tag: u8, body: &[u8]) {
        let mut message = BytesMut::new();
        message.put_u8(tag);
        message.put_u32(u32::try_from(body.len() + 4).unwrap());
        message.put_slice(body);
        self.pipe.write_all(&message).await.unwrap();
    }

    async fn read(&mut self, length: usize) {
        // Paused time: this passes at once when nobody has anything to do.
        let deadline = Duration::from_hours(24);
        while self.input.len() < length {
            let read = self.pipe.read_buf(&mut self.input);
            let read = tokio::time::timeout(deadline, read).await;
            let count = read.expect("the client sends nothing").unwrap();
            assert_ne!(count, 0, "the client hung up");
        }
    }

    /// The next message of the client: tag and body.
    async fn receive(&mut self) -> (u8, BytesMut) {
        self.read(5).await;
        let tag = self.input.get_u8();
        let length = usize::try_from(self.input.get_u32()).unwrap() - 4;
        self.read(length).await;
        (tag, self.input.split_to(length))
    }

    /// The start-up message, which has no tag, as text with `|` for zeros.
    async fn receive_startup(&mut self) -> String {
        self.read(4).await;
        let length = usize::try_from(self.input.get_u32()).unwrap() - 4;
        self.read(length).await;
        let body = self.input.split_to(length);
        String::from_utf8(body[4..].to_vec())
            .unwrap()
            .replace('\0', "|")
    }

    async fn authentication(&mut self, code: u32, rest: &[u8]) {
        let mut body = code.to_be_bytes().to_vec();
        body.extend(rest);
        self.send(b'R', &body).await;
    }

    async fn ready(&mut self) {
        self.send(b'Z', b"I").await;
    }

    async fn error(&mut self, code: &str, message: &str) {
        let body = format!("SFATAL\0C{code}\0M{message}\0Dsecret row\0\0");
        self.send(b'E', body.as_bytes()).await;
    }

    /// Lets anybody in and starts to stream.
    async fn open(&mut self) {
        self.receive_startup().await;
        self.authentication(0, b"").await;
        self.send(b'S', b"server_version\x0015.0\0").await;
        self.send(b'K', &[0; 8]).await;
        self.ready().await;
        self.receive().await;
        self.send(b'W', &[0, 0, 0]).await;
    }

    async fn data(&mut self, start: u64, payload: &[u8]) {
        let mut body = vec![b'w'];
        body.put_u64(start);
        body.put_u64(start + 8);
        body.put_i64(0);
        body.put_slice(payload);
        self.send(b'd', &body).await;
    }

    async fn keepalive(&mut self, wal_end: u64, reply: bool) {
        let mut body = vec![b'k'];
        body.put_u64(wal_end);
        body.put_i64(0);
        body.put_u8(u8::from(reply));
        self.send(b'd', &body).await;
    }

    /// The next status: written, flushed, applied, and whether an answer is wanted.
    async fn status(&mut self) -> (u64, u64, u64, bool) {
        let (tag, mut body) = self.receive().await;
        assert_eq!((tag, body.get_u8()), (b'd', b'r'));
        let positions = (body.get_u64(), body.get_u64(), body.get_u64());
        assert!(body.get_i64() > 0, "the clock");
        (positions.0, positions.1, positions.2, body.get_u8() == 1)
    }
}

/// The bytes of a row that starts at `number`, and of a ping.
fn row_and_ping(number: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for body in [
        [&b"w"[..], &[0; 7], &[number], &[0; 16], b"payload"].concat(),
        [&b"k"[..], &[0; 16], &[1]].concat(),
    ] {
        bytes.put_u8(b'd');
        bytes.put_u32(u32::try_from(body.len() + 4).unwrap());
        bytes.extend(body);
    }
    bytes
}

fn pipe(room: usize) -> (DuplexStream, Server) {
    let (client, server) = duplex(room);
    (
        client,
        Server {
            pipe: server,
            input: BytesMut::new(),
        },
    )
}

fn ann() -> Login {
    Login {
        user: "ann".to_owned(),
        password: Some(runtime::secret::Secret::new("pencil")),
        database: "shop".to_owned(),
        application_name: "flusso-capture".to_owned(),
        options: None,
        channel_binding: ChannelBinding::None,
    }
}

fn patience() -> Patience {
    Patience::suited_to(Duration::from_mins(1))
}

async fn streaming(room: usize) -> (LogicalStream<DuplexStream>, Server) {
    let (client, mut server) = pipe(room);
    let open = async {
        let session = Session::start(client, &ann()).await.unwrap();
        session
            .start_replication("flusso", "flusso", Lsn::new(7), patience())
            .await
            .unwrap()
    };
    let (stream, ()) = tokio::join!(open, server.open());
    (stream, server)
}

fn status(flushed: u64) -> Status {
    Status {
        written: Lsn::new(flushed + 1),
        flushed: Lsn::new(flushed),
        applied: Lsn::new(flushed),
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_asks_for_replication_and_pins_how_values_are_written() {
    // GIVEN
    let (client, mut server) = pipe(4096);
    let script = async {
        let startup = server.receive_startup().await;
        server.authentication(0, b"").await;
        server.ready().await;
        startup
    };
    // WHEN
    let login = ann();
    let (session, startup) = tokio::join!(Session::start(client, &login), script);
    // THEN
    session.unwrap();
    for wanted in [
        "user|ann|",
        "database|shop|",
        "replication|database|",
        "application_name|flusso-capture|",
        "client_encoding|UTF8|",
        "TimeZone|UTC|",
        "bytea_output|hex|",
    ] {
        assert!(startup.contains(wanted), "{wanted} in {startup}");
    }
    assert!(!startup.contains("pencil"));
}

#[tokio::test(start_paused = true)]
async fn a_password_is_sent_in_clear_or_as_md5_only_when_asked_so() {
    for (code, salt, sent) in [
        (3, &b""[..], "pencil\0".to_owned()),
        (
            5,
            b"salt",
            format!(
                "{}\0",
                postgres_protocol::authentication::md5_hash(b"ann", b"pencil", *b"salt")
            ),
        ),
    ] {
        let (client, mut server) = pipe(4096);
        let script = async {
            server.receive_startup().await;
            server.authentication(code, salt).await;
            let (tag, body) = server.receive().await;
            server.authentication(0, b"").await;
            server.ready().await;
            (tag, body)
        };
        let login = ann();
        let (session, (tag, body)) = tokio::join!(Session::start(client, &login), script);
        session.unwrap();
        assert_eq!((tag, &body[..]), (b'p', sent.as_bytes()));
    }
}

#[tokio::test(start_paused = true)]
async fn scram_is_bound_to_the_tls_session_where_both_sides_can() {
    let binding = || vec![1, 2, 3];
    for (wanted, offered, chosen) in [
        (
            ChannelBinding::None,
            "SCRAM-SHA-256\0\0",
            Some(("SCRAM-SHA-256", "n,,")),
        ),
        (
            ChannelBinding::Offered(binding()),
            "SCRAM-SHA-256\0\0",
            Some(("SCRAM-SHA-256", "y,,")),
        ),
        (
            ChannelBinding::Offered(binding()),
            "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
            Some(("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,")),
        ),
        (
            ChannelBinding::Required(binding()),
            "SCRAM-SHA-256\0\0",
            None,
        ),
    ] {
        // GIVEN
        let (client, mut server) = pipe(4096);
        let script = async {
            server.receive_startup().await;
            server.authentication(10, offered.as_bytes()).await;
            if chosen.is_none() {
                return String::new();
            }
            let (_, body) = server.receive().await;
            server.error("28P01", "no").await;
            String::from_utf8_lossy(&body).into_owned()
        };
        // WHEN
        let login = Login {
            channel_binding: wanted,
            ..ann()
        };
        let (session, first) = tokio::join!(Session::start(client, &login), script);
        // THEN
        let error = session.unwrap_err();
        match chosen {
            None => assert!(
                error.to_string().contains("channel binding is required"),
                "{error}"
            ),
            Some((mechanism, header)) => {
                assert!(first.starts_with(&format!("{mechanism}\0")), "{first:?}");
                assert!(first.contains(header), "{first:?}");
                assert!(matches!(error, Error::Definite(Definite::Refused(_))));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn required_channel_binding_never_gives_the_password_away() {
    let (client, mut server) = pipe(4096);
    let script = async {
        server.receive_startup().await;
        server.authentication(3, b"").await;
    };
    let login = Login {
        channel_binding: ChannelBinding::Required(vec![1]),
        ..ann()
    };
    let (session, ()) = tokio::join!(Session::start(client, &login), script);
    assert!(matches!(
        session,
        Err(Error::Definite(Definite::Authentication(_)))
    ));
    assert_eq!(
        server.pipe.read_u8().await.unwrap_err().kind(),
        std::io::ErrorKind::UnexpectedEof
    );
}

#[tokio::test(start_paused = true)]
async fn errors_are_sorted_by_sqlstate_and_quote_no_rows() {
    for (code, kind) in [
        ("55006", "busy"),
        ("42704", "missing"),
        ("55000", "state"),
        ("58P01", "state"),
        ("28P01", "refused"),
        ("57P01", "server"),
        ("53300", "server"),
        ("ZZ999", "server"),
    ] {
        // GIVEN a stream whose server gives up
        let (mut stream, mut server) = streaming(4096).await;
        server.error(code, "words").await;
        // WHEN
        let error = stream.next().await.unwrap_err();
        // THEN
        let (found, inner) = match error {
            Error::Transient(Transient::SlotBusy(inner)) => ("busy", inner),
            Error::Transient(Transient::Server(inner)) => ("server", inner),
            Error::Definite(Definite::Missing(inner)) => ("missing", inner),
            Error::Definite(Definite::NotInState(inner)) => ("state", inner),
            Error::Definite(Definite::Refused(inner)) => ("refused", inner),
            other @ (Error::Transient(_) | Error::Definite(_)) => panic!("{other}"),
        };
        assert_eq!(
            (found, inner.code.clone()),
            (kind, SqlState::from_code(code))
        );
        assert_eq!(inner.to_string(), format!("words (SQLSTATE {code})"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_system_is_identified() {
    let (client, mut server) = pipe(4096);
    let script = async {
        server.receive_startup().await;
        server.authentication(0, b"").await;
        server.ready().await;
        let (_, command) = server.receive().await;
        assert_eq!(&command[..], b"IDENTIFY_SYSTEM\0");
        let mut row = vec![0, 4];
        for value in ["7123456789012345678", "3", "16/B374D848", "shop"] {
            row.put_u32(u32::try_from(value.len()).unwrap());
            row.put_slice(value.as_bytes());
        }
        server.send(b'D', &row).await;
        server.send(b'C', b"IDENTIFY_SYSTEM\0").await;
        server.ready().await;
    };
    let ask = async {
        let mut session = Session::start(client, &ann()).await.unwrap();
        session.identify_system().await.unwrap()
    };
    let (system, ()) = tokio::join!(ask, script);
    let expected = IdentifiedSystem {
        system_identifier: 7_123_456_789_012_345_678,
        timeline: 3,
        wal_end: Lsn::new(0x16_B374_D848),
        database: "shop".to_owned(),
    };
    assert_eq!(system, expected);
}

#[test]
fn the_publication_is_an_identifier_inside_a_literal() {
    assert_eq!(
        start_command("s1", "it's \"mine\"", Lsn::new(0x10)),
        "START_REPLICATION SLOT \"s1\" LOGICAL 0/10 (proto_version '1', \
         publication_names '\"it''s \"\"mine\"\"\"')"
    );
}

#[tokio::test(start_paused = true)]
async fn frames_come_in_order_however_the_bytes_are_cut() {
    // GIVEN a pipe that takes three bytes at a time
    let (mut stream, mut server) = streaming(3).await;
    // WHEN
    let script = async {
        server.data(16, b"hello").await;
        server.keepalive(99, false).await;
        server.data(24, b"").await;
        server
    };
    let take = async {
        let mut frames = Vec::new();
        for _ in 0..3 {
            frames.push(stream.next().await.unwrap());
        }
        frames
    };
    let (frames, _server) = tokio::join!(take, script);
    // THEN
    let data = |start, payload: &'static [u8]| Frame::Data {
        start: Lsn::new(start),
        wal_end: Lsn::new(start + 8),
        payload: Bytes::from_static(payload),
    };
    let keepalive = Frame::Keepalive {
        wal_end: Lsn::new(99),
        reply_requested: false,
    };
    assert_eq!(frames, [data(16, b"hello"), keepalive, data(24, b"")]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_loses_no_frame_and_tears_no_answer() {
    // GIVEN a server that sends twenty rows, each with a ping, through a pipe
    // of three bytes, and counts the answers
    let (mut stream, server) = streaming(3).await;
    let (mut read, mut write) = tokio::io::split(server.pipe);
    let mut received = BytesMut::new();
    let send = async {
        for number in 0..20_u8 {
            write.write_all(&row_and_ping(number)).await.unwrap();
        }
    };
    let answers = async {
        while received.len() < 20 * 39 {
            read.read_buf(&mut received).await.unwrap();
        }
    };
    // WHEN the reader gives up after every step
    let mut starts = Vec::new();
    let take = async {
        let mut frames = 0;
        // It never idles, so the paused clock is no deadline here.
        for _ in 0..100_000 {
            if frames == 40 {
                return;
            }
            tokio::select! {
                biased;
                frame = stream.next() => {
                    frames += 1;
                    if let Frame::Data { start, .. } = frame.unwrap() {
                        starts.push(start.as_u64());
                    }
                }
                () = tokio::task::yield_now() => {}
            }
        }
        panic!("only {frames} frames came");
    };
    let all = async { tokio::join!(take, send, answers) };
    let deadline = Duration::from_hours(24);
    tokio::time::timeout(deadline, all)
        .await
        .expect("frames or answers are missing");
    // THEN
    assert_eq!(starts, (0..20).collect::<Vec<_>>());
    for answer in received.chunks(39) {
        assert_eq!((answer[0], answer[5]), (b'd', b'r'));
    }
}

#[tokio::test(start_paused = true)]
async fn c1_a_ping_is_answered_at_once_with_what_was_reported_and_nothing_more() {
    // GIVEN a stream that reported 40 and has received up to 100
    let (mut stream, mut server) = streaming(4096).await;
    stream.report(status(40)).await.unwrap();
    assert_eq!(server.status().await, (41, 40, 40, false));
    server.data(100, b"row").await;
    server.keepalive(200, true).await;
    // WHEN
    stream.next().await.unwrap();
    let ping = stream.next().await.unwrap();
    // THEN
    assert_eq!(
        ping,
        Frame::Keepalive {
            wal_end: Lsn::new(200),
            reply_requested: true
        }
    );
    assert_eq!(server.status().await, (41, 40, 40, false));
}

#[tokio::test(start_paused = true)]
async fn c1_before_the_first_report_a_ping_is_answered_without_a_position() {
    let (mut stream, mut server) = streaming(4096).await;
    server.keepalive(200, true).await;
    stream.next().await.unwrap();
    assert_eq!(server.status().await, (0, 0, 0, false));
}

#[tokio::test(start_paused = true)]
async fn reports_go_out_while_rows_are_not_read() {
    // GIVEN a server that is held by a full pipe
    let (mut stream, mut server) = streaming(64).await;
    let mut body = vec![b'w'];
    body.extend([0; 24]);
    body.extend([7; 1000]);
    let (mut read, mut write) = tokio::io::split(server.pipe);
    let held = async {
        let mut message = vec![b'd'];
        message.put_u32(u32::try_from(body.len() + 4).unwrap());
        message.extend(&body);
        write.write_all(&message).await.unwrap();
    };
    tokio::pin!(held);
    assert!(futures_util::poll!(&mut held).is_pending());
    // WHEN the pump reports ten times without reading
    for flushed in 0..10 {
        stream.report(status(flushed)).await.unwrap();
        // THEN each arrives
        let mut report = [0; 39];
        read.read_exact(&mut report).await.unwrap();
        assert_eq!(report[5], b'r');
        assert_eq!(report[14..22], flushed.to_be_bytes());
    }
    // and the row is still there
    let (frame, ()) = tokio::join!(stream.next(), held);
    assert!(matches!(frame.unwrap(), Frame::Data { payload, .. } if payload.len() == 1000));
    server.input.clear();
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_pinged_twice_and_then_given_up() {
    // GIVEN
    let (mut stream, mut server) = streaming(4096).await;
    let started = tokio::time::Instant::now();
    // WHEN nothing comes
    let error = stream.next().await.unwrap_err();
    // THEN two pings went out, and it took 30 + 60 seconds
    assert!(
        matches!(error, Error::Transient(Transient::Silent { .. })),
        "{error}"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(90));
    assert!(server.status().await.3);
    assert!(server.status().await.3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_the_ping_is_not_given_up() {
    let (mut stream, mut server) = streaming(4096).await;
    let script = async {
        for _ in 0..5 {
            assert!(server.status().await.3);
            server.keepalive(1, false).await;
        }
    };
    let take = async {
        for _ in 0..5 {
            stream.next().await.unwrap();
        }
    };
    tokio::join!(take, script);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_did_not_read_for_long_finds_the_stream_alive() {
    // GIVEN a row that has waited for an hour of back-pressure
    let (mut stream, mut server) = streaming(4096).await;
    server.data(1, b"row").await;
    tokio::time::advance(Duration::from_hours(1)).await;
    // THEN
    assert!(matches!(stream.next().await, Ok(Frame::Data { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_get_out_is_an_error_in_time() {
    // GIVEN a server that reads nothing, and a pipe for less than one report
    let (mut stream, _server) = streaming(8).await;
    // THEN
    let error = stream.report(status(1)).await.unwrap_err();
    assert!(matches!(
        error,
        Error::Transient(Transient::Silent {
            doing: "reporting",
            ..
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn the_orderly_end_reports_first_and_drops_what_still_comes() {
    // GIVEN
    let (stream, mut server) = streaming(4096).await;
    let script = async {
        assert_eq!(server.status().await, (51, 50, 50, false));
        server.data(60, b"on its way").await;
        assert_eq!(server.receive().await.0, b'c');
        server.send(b'c', b"").await;
        server.send(b'C', b"COPY 0\0").await;
        server.ready().await;
        server.receive().await.0
    };
    // WHEN
    let end = stream.finish(status(50), Duration::from_secs(5));
    let (ended, last) = tokio::join!(end, script);
    // THEN
    ended.unwrap();
    assert_eq!(last, b'X');
}

#[tokio::test(start_paused = true)]
async fn the_orderly_end_does_not_wait_for_a_server_that_hangs() {
    let (stream, _server) = streaming(4096).await;
    let started = tokio::time::Instant::now();
    let error = stream
        .finish(status(50), Duration::from_secs(5))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Transient(Transient::Silent { .. })));
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_session_and_takes_no_memory() {
    for (tag, body) in [
        (b'd', &b"?"[..]),
        (b'd', b"w\0"),
        (b'd', b""),
        (b'!', b""),
        (b'Z', b"I"),
        (b'W', b""),
    ] {
        let (mut stream, mut server) = streaming(4096).await;
        server.send(tag, body).await;
        let error = stream.next().await.unwrap_err();
        assert!(
            matches!(error, Error::Transient(Transient::Protocol(_))),
            "{error}"
        );
    }
    // A length that no message has.
    let (mut stream, mut server) = streaming(4096).await;
    server
        .pipe
        .write_all(&[b'd', 0x7F, 0xFF, 0xFF, 0xFF])
        .await
        .unwrap();
    let error = stream.next().await.unwrap_err();
    assert!(
        error.to_string().contains("longer than Postgres can make"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shuts_down_ends_the_stream() {
    let (mut stream, mut server) = streaming(4096).await;
    server.send(b'c', b"").await;
    assert!(matches!(
        stream.next().await,
        Err(Error::Transient(Transient::Ended))
    ));
    // and one that dies closes it
    let (mut stream, server) = streaming(4096).await;
    drop(server);
    assert!(matches!(
        stream.next().await,
        Err(Error::Transient(Transient::Closed { .. }))
    ));
}

#[test]
fn reports_come_at_least_twice_in_the_time_the_server_bears() {
    for seconds in [1, 2, 10, 60, 3600] {
        let bearable = Duration::from_secs(seconds);
        let patience = Patience::suited_to(bearable);
        assert!(patience.report_every <= bearable / 2, "{patience:?}");
    }
    assert_eq!(
        Patience::suited_to(Duration::ZERO).report_every,
        Duration::from_secs(10)
    );
}
