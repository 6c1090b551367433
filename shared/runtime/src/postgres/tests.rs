//! The edge of the connection: what the other side may say, and what we make of it. Real
//! servers are asked by `integration`.

mod fake;

use std::time::Duration;

use super::*;
use crate::secret::Secret;
use fake::{Encryption, Fake, Welcome};

const PASSWORD: &str = "hunter2";

fn target(fakes: &[&Fake], mode: SslMode) -> Target {
    let mut target = Target::from_parts(
        Parts {
            host: "127.0.0.1".into(),
            port: 1,
            user: "flusso".into(),
            password: Some(Secret::new(PASSWORD)),
            database: "shop".into(),
        },
        Tls {
            mode,
            ..Tls::default()
        },
    );
    target.hosts = fakes
        .iter()
        .map(|fake| Host::new("127.0.0.1", fake.address.port()))
        .collect();
    target
}

async fn connect(target: Target) -> Result<Session, Error> {
    let result = Postgres::new(target)?.connect("test").await;
    if let Err(error) = &result {
        let shown = format!("{error} {error:?} {:?}", error.help());
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
    result
}

async fn refused(fake: &Fake, mode: SslMode) -> Error {
    let error = connect(target(&[fake], mode)).await.unwrap_err();
    assert!(
        error.to_string().contains(&fake.address.to_string()),
        "{error}"
    );
    error
}

#[tokio::test]
async fn prefer_goes_on_in_the_open_where_the_server_has_no_tls_and_require_does_not() {
    let fake = Fake::start(Encryption::Declined, Welcome::Primary).await;
    let session = connect(target(&[&fake], SslMode::Prefer)).await.unwrap();
    assert!(!session.route().encrypted);
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refused(&fake, mode).await;
        assert_eq!(error.kind(), ErrorKind::TlsRefused);
        assert!(!error.is_transient());
        assert!(error.help().unwrap().contains("ssl = on"));
    }
}

#[tokio::test]
async fn prefer_tries_without_tls_after_a_failed_handshake() {
    let fake = Fake::start(Encryption::Broken, Welcome::Primary).await;
    let session = connect(target(&[&fake], SslMode::Prefer)).await.unwrap();
    assert!(!session.route().encrypted);
    assert_eq!(fake.connections(), 2);
    assert_eq!(
        refused(&fake, SslMode::Require).await.kind(),
        ErrorKind::TlsFailed
    );
}

#[tokio::test]
async fn prefer_tries_without_tls_where_the_role_is_let_in_only_so() {
    let fake = Fake::start(Encryption::Offered, Welcome::OnlyPlain).await;
    let session = connect(target(&[&fake], SslMode::Prefer)).await.unwrap();
    assert!(!session.route().encrypted);
    assert_eq!(
        refused(&fake, SslMode::Require).await.kind(),
        ErrorKind::NotAllowed
    );
}

#[tokio::test]
async fn a_refused_password_is_not_sent_again_in_the_open() {
    let fake = Fake::start(Encryption::Offered, Welcome::WrongPassword).await;
    let error = refused(&fake, SslMode::Prefer).await;
    assert_eq!(error.kind(), ErrorKind::Password);
    assert!(error.is_authentication() && !error.is_transient());
    assert_eq!(error.code().unwrap().code(), "28P01");
    assert_eq!(fake.connections(), 1);
}

fn with_root(fake: &Fake, mode: SslMode, host: &str, root: &std::path::Path) -> Target {
    let mut target = target(&[fake], mode);
    target.hosts = vec![Host::new(host, fake.address.port())];
    target.tls.root = RootCertificate::File(root.to_owned());
    target
}

#[tokio::test]
async fn verify_ca_checks_the_root_and_verify_full_the_name_too() {
    let fake = Fake::start(Encryption::Offered, Welcome::Primary).await;
    let folder = tempfile::tempdir().unwrap();
    let (own, foreign) = (
        folder.path().join("own.pem"),
        folder.path().join("foreign.pem"),
    );
    std::fs::write(&own, fake::certificate().0.to_pem().unwrap()).unwrap();
    std::fs::write(&foreign, fake::stranger().to_pem().unwrap()).unwrap();
    for (mode, host, root, accepted) in [
        (SslMode::Require, "127.0.0.1", &foreign, true),
        (SslMode::VerifyCa, "127.0.0.1", &own, true),
        (SslMode::VerifyCa, "127.0.0.1", &foreign, false),
        (SslMode::VerifyFull, "localhost", &own, true),
        (SslMode::VerifyFull, "127.0.0.1", &own, false),
        (SslMode::VerifyFull, "localhost", &foreign, false),
    ] {
        let result = connect(with_root(&fake, mode, host, root)).await;
        let what = format!("{mode:?} {host} {}: {result:?}", root.display());
        match result {
            Ok(session) => assert!(accepted && session.route().encrypted, "{what}"),
            Err(error) => assert!(!accepted && error.kind() == ErrorKind::TlsFailed, "{what}"),
        }
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    let fake = Fake::start(Encryption::Offered, Welcome::Primary).await;
    let missing = with_root(
        &fake,
        SslMode::VerifyCa,
        "x",
        "/nonexistent/ca.pem".as_ref(),
    );
    let error = Postgres::new(missing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(
        error
            .to_string()
            .contains("sslrootcert /nonexistent/ca.pem"),
        "{error}"
    );
}

#[tokio::test]
async fn the_replication_stream_goes_the_same_way_and_can_bind_the_password_exchange() {
    let fake = Fake::start(Encryption::Offered, Welcome::Primary).await;
    let postgres = Postgres::new(target(&[&fake], SslMode::Require)).unwrap();
    let session = postgres.connect("test").await.unwrap();
    let stream = postgres.open(session.route()).await.unwrap();
    assert!(stream.is_encrypted());
    let hash = fake::certificate()
        .0
        .digest(openssl::hash::MessageDigest::sha256())
        .unwrap();
    assert_eq!(stream.channel_binding().as_deref(), Some(&*hash));
    assert_eq!(
        postgres.channel_binding(&stream).unwrap().as_deref(),
        Some(&*hash)
    );
}

#[tokio::test]
async fn channel_binding_is_required_or_left_out_as_the_target_says() {
    let fake = Fake::start(Encryption::Declined, Welcome::Primary).await;
    let mut target = target(&[&fake], SslMode::Disable);
    target.channel_binding = ChannelBinding::Require;
    let postgres = Postgres::new(target).unwrap();
    let route = Route {
        host: Host::new("127.0.0.1", fake.address.port()),
        encrypted: false,
    };
    let stream = postgres.open(&route).await.unwrap();
    assert!(postgres.channel_binding(&stream).is_err());
}

#[tokio::test]
async fn a_standby_is_passed_over_for_a_primary_and_refused_alone() {
    let standby = Fake::start(Encryption::Declined, Welcome::Standby).await;
    let primary = Fake::start(Encryption::Declined, Welcome::Primary).await;
    let session = connect(target(&[&standby, &primary], SslMode::Disable))
        .await
        .unwrap();
    assert_eq!(
        session.route().host,
        Host::new("127.0.0.1", primary.address.port())
    );
    let error = refused(&standby, SslMode::Disable).await;
    assert_eq!(error.kind(), ErrorKind::NotPrimary);
    // It may be promoted.
    assert!(error.is_transient());
}

#[tokio::test]
async fn when_no_host_will_do_each_one_s_reason_is_told() {
    let standby = Fake::start(Encryption::Declined, Welcome::Standby).await;
    let other = Fake::start(
        Encryption::Declined,
        Welcome::Refusal("28000", "no pg_hba.conf entry", "ClientAuthentication"),
    )
    .await;
    let error = connect(target(&[&standby, &other], SslMode::Disable))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("standby") && text.contains("pg_hba.conf"),
        "{text}"
    );
    assert!(error.is_transient(), "the standby may be promoted");
}

#[tokio::test]
async fn every_refusal_has_its_kind_and_a_way_to_mend_it() {
    let cases = [
        (
            "28000",
            "ClientAuthentication",
            ErrorKind::NotAllowed,
            false,
            "pg_hba.conf",
        ),
        (
            "28000",
            "InitializeSessionUserId",
            ErrorKind::RoleMissing,
            false,
            "create the role",
        ),
        (
            "3D000",
            "InitPostgres",
            ErrorKind::DatabaseMissing,
            false,
            "create the database",
        ),
        (
            "53300",
            "InitProcess",
            ErrorKind::TooManyConnections,
            true,
            "max_connections",
        ),
    ];
    for (code, routine, kind, transient, help) in cases {
        let welcome = Welcome::Refusal(code, "said the server", routine);
        let fake = Fake::start(Encryption::Declined, welcome).await;
        let error = refused(&fake, SslMode::Disable).await;
        assert_eq!(
            (error.kind(), error.is_transient()),
            (kind, transient),
            "{code} {routine}"
        );
        assert!(error.help().unwrap().contains(help), "{:?}", error.help());
    }
    let starting = Welcome::Refusal("57P03", "the database system is starting up", "x");
    let fake = Fake::start(Encryption::Declined, starting).await;
    let error = refused(&fake, SslMode::Disable).await;
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::NotReady, true)
    );
}

#[tokio::test]
async fn a_password_that_is_asked_for_and_not_configured_is_said_so() {
    let fake = Fake::start(Encryption::Declined, Welcome::WrongPassword).await;
    let mut target = target(&[&fake], SslMode::Disable);
    target.password = None;
    let error = connect(target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Password);
    assert!(error.to_string().contains("none is configured"), "{error}");
}

#[tokio::test]
async fn something_that_is_no_postgres_is_told_apart() {
    let fake = Fake::start(Encryption::Nonsense, Welcome::Primary).await;
    let error = refused(&fake, SslMode::Require).await;
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(
        error.to_string().contains("not a Postgres server"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let fake = Fake::start(Encryption::Silent, Welcome::Primary).await;
    let mut target = target(&[&fake], SslMode::Require);
    target.connect_timeout = Some(Duration::from_millis(50));
    let error = connect(target).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Timeout, true)
    );
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut target = target(&[], SslMode::Prefer);
    target.hosts.push(Host::new("127.0.0.1", port));
    let error = connect(target).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Unreachable, true)
    );
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_value_that_the_server_quotes_is_not_shown() {
    let fake = Fake::start(Encryption::Declined, Welcome::Primary).await;
    let session = connect(target(&[&fake], SslMode::Disable)).await.unwrap();
    let failed = session.simple_query("SELECT 1").await.unwrap_err();
    let error = Error::from_sql("cannot build documents", &failed);
    assert_eq!(error.code().unwrap().code(), "22P02");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("hunter2") && shown.contains("22P02"),
        "{shown}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn the_pool_is_bounded_and_a_discarded_session_makes_room() {
    let fake = Fake::start(Encryption::Declined, Welcome::Primary).await;
    let pool = Postgres::new(target(&[&fake], SslMode::Disable))
        .unwrap()
        .pool("test", 2);
    let (first, second) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    assert_eq!((pool.status().open, pool.status().idle), (2, 0));
    // A session that is given back is used again
    drop(first);
    let third = pool.get().await.unwrap();
    assert_eq!(fake.connections(), 2);
    // AND one that is discarded is not.
    second.discard();
    let _fourth = pool.get().await.unwrap();
    assert_eq!((fake.connections(), pool.status().open), (3, 2));
    drop(third);
}

#[test]
fn a_leading_slash_is_a_socket_directory() {
    assert_eq!(
        Host::new("/run/pg", 5433).to_string(),
        "/run/pg/.s.PGSQL.5433"
    );
    assert_eq!(Host::new("::1", 5432).to_string(), "[::1]:5432");
    assert_eq!(Host::new("db.example", 5432).to_string(), "db.example:5432");
}
