use std::path::PathBuf;

use super::*;
use crate::deployment::{AsynchronousCommit, OnSlotLoss, Secret};

fn source(tls: TlsSettings) -> Source {
    Source {
        connection: Connection::Url(Secret::Env("SHOP_DB".to_owned())),
        tls,
        directory: PathBuf::from("/etc/flusso"),
        slot: "flusso".to_owned(),
        slot_failover: false,
        publication: "flusso".to_owned(),
        manage_publication: true,
        manage_replica_identity: true,
        allow_stale_parents: false,
        on_slot_loss: OnSlotLoss::Reseed,
        asynchronous_commit: AsynchronousCommit::Possible,
    }
}

fn read(url: &str) -> Result<ConnectionParameters, UrlProblem> {
    ConnectionParameters::new(&source(TlsSettings::default()), url)
}

#[test]
fn every_part_of_a_url_is_decoded_exactly_once() {
    let parameters = read(
        "postgresql://a%40b:p%2525%2F@%2Fvar%2Frun,[::1]:6000,db.example.org/sh%20op?application_name=x%26y&sslmode=require",
    )
    .unwrap();
    assert_eq!(parameters.user, "a@b");
    assert_eq!(parameters.password.as_deref(), Some("p%25/"));
    assert_eq!(parameters.database, "sh op");
    assert_eq!(parameters.application_name.as_deref(), Some("x&y"));
    let hosts: Vec<(&str, u16)> = parameters
        .hosts
        .iter()
        .map(|host| (host.name.as_str(), host.port))
        .collect();
    assert_eq!(
        hosts,
        [("/var/run", 5432), ("::1", 6000), ("db.example.org", 5432)]
    );
    assert!(parameters.hosts.first().unwrap().is_socket());
    assert_eq!(parameters.tls.mode, SslMode::Require);
}

#[test]
fn a_root_certificate_turns_require_into_verify_ca() {
    let parameters = read("postgres://h/d?sslmode=require&sslrootcert=ca.pem").unwrap();
    assert_eq!(parameters.tls.mode, SslMode::VerifyCa);
    assert_eq!(
        parameters.tls.root_certificate,
        RootCertificate::File(PathBuf::from("/etc/flusso/ca.pem"))
    );
}

#[test]
fn a_tls_setting_that_differs_between_url_and_file_is_refused() {
    let file = TlsSettings {
        sslmode: Some(SslMode::VerifyFull),
        ..TlsSettings::default()
    };
    let problem =
        ConnectionParameters::new(&source(file), "postgres://h/d?sslmode=disable").unwrap_err();
    assert_eq!(problem.code(), "E108");
    assert_eq!(
        problem.to_string(),
        "sslmode is \"disable\" in the connection URL, \"verify-full\" in [source]"
    );
    assert_eq!(problem.help(), "keep one of them");
}

#[test]
fn unknown_parameters_are_named_and_problems_quote_no_secret() {
    assert_eq!(
        read("postgres://h/d?target_session_attrs=any")
            .unwrap()
            .ignored,
        ["target_session_attrs"]
    );
    for bad in [
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2%zz@h/d",
        "postgres://u:hunter2@h:99999/d",
        "postgres://u:hunter2@[::1/d",
    ] {
        let problem = read(bad).unwrap_err().to_string();
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    assert!(!format!("{:?}", read("postgres://u:hunter2@h/d").unwrap()).contains("hunter2"));
}
