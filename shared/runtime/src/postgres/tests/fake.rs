//! A server that speaks just enough of the protocol to say yes or no.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::task::{Task, Tasks, spawn};

/// What it answers to the request for TLS.
#[derive(Clone, Copy)]
pub(super) enum Encryption {
    /// "No".
    Declined,
    /// "Yes", and hangs up instead.
    Broken,
    /// "Yes", with a certificate for `localhost`.
    Offered,
    /// A byte that no Postgres sends.
    Nonsense,
    /// Nothing, ever.
    Silent,
}

/// What it answers to the start-up message.
#[derive(Clone, Copy)]
pub(super) enum Welcome {
    /// In you come; a primary.
    Primary,
    /// In you come; a standby.
    Standby,
    /// An error: SQLSTATE, message, routine.
    Refusal(&'static str, &'static str, &'static str),
    /// Asks for a password and takes it for wrong.
    WrongPassword,
    /// The plain way is open, the encrypted one refused, as `hostnossl` does.
    OnlyPlain,
}

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _task: Task<()>,
}

impl Fake {
    pub(super) async fn start(encryption: Encryption, welcome: Welcome) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = spawn("fake", async move {
            let mut tasks = Tasks::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tasks.spawn("connection", async move {
                    // The client may hang up at any point.
                    drop(serve(stream, encryption, welcome).await);
                });
            }
        });
        Self {
            address,
            connections,
            _task: task,
        }
    }

    /// Connections there were so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    encryption: Encryption,
    welcome: Welcome,
) -> std::io::Result<()> {
    let mut request = [0; 8];
    stream.peek(&mut request).await?;
    let wants_tls = request[4..] == 80_877_103_u32.to_be_bytes();
    if !wants_tls {
        return speak(stream, welcome, false).await;
    }
    stream.read_exact(&mut request).await?;
    match encryption {
        Encryption::Declined => {
            stream.write_all(b"N").await?;
            speak(stream, welcome, false).await
        }
        Encryption::Broken => stream.write_all(b"S").await,
        Encryption::Nonsense => stream.write_all(b"H").await,
        Encryption::Silent => std::future::pending().await,
        Encryption::Offered => {
            stream.write_all(b"S").await?;
            let ssl = Ssl::new(acceptor().context()).unwrap();
            let mut stream = tokio_openssl::SslStream::new(ssl, stream).unwrap();
            Pin::new(&mut stream)
                .accept()
                .await
                .map_err(std::io::Error::other)?;
            speak(stream, welcome, true).await
        }
    }
}

async fn speak<S>(mut stream: S, welcome: Welcome, encrypted: bool) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = stream.read_u32().await?;
    let mut startup = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut startup).await?;
    let in_recovery = match welcome {
        Welcome::Standby => "t",
        Welcome::Refusal(code, message, routine) => {
            return stream
                .write_all(&error("FATAL", code, message, routine))
                .await;
        }
        Welcome::OnlyPlain if encrypted => {
            let refusal = error(
                "FATAL",
                "28000",
                "no entry for SSL on",
                "ClientAuthentication",
            );
            return stream.write_all(&refusal).await;
        }
        Welcome::Primary | Welcome::OnlyPlain => "f",
        Welcome::WrongPassword => {
            stream
                .write_all(&message(b'R', &3_u32.to_be_bytes()))
                .await?;
            read_message(&mut stream).await?;
            return stream
                .write_all(&error("FATAL", "28P01", "wrong", "auth_failed"))
                .await;
        }
    };
    stream
        .write_all(&message(b'R', &0_u32.to_be_bytes()))
        .await?;
    stream.write_all(&message(b'Z', b"I")).await?;
    // The settings and "are you a primary?".
    read_message(&mut stream).await?;
    let mut column = vec![0, 1];
    column.extend(b"pg_is_in_recovery\0\0\0\0\0\0\0\0\0\0\x10\0\x01\0\0\0\0\0\0");
    stream.write_all(&message(b'T', &column)).await?;
    let mut row = vec![0, 1, 0, 0, 0, 1];
    row.extend(in_recovery.as_bytes());
    stream.write_all(&message(b'D', &row)).await?;
    stream.write_all(&message(b'C', b"SELECT 1\0")).await?;
    stream.write_all(&message(b'Z', b"I")).await?;
    // Any statement after that fails, quoting a value.
    while read_message(&mut stream).await? == b'Q' {
        let text = "invalid input syntax for type integer: \"hunter2\"";
        stream
            .write_all(&error("ERROR", "22P02", text, "pg_strtoint32"))
            .await?;
        stream.write_all(&message(b'Z', b"I")).await?;
    }
    Ok(())
}

async fn read_message<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<u8> {
    let tag = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    let mut body = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut body).await?;
    Ok(tag)
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn error(severity: &str, code: &str, text: &str, routine: &str) -> Vec<u8> {
    let fields = format!("S{severity}\0V{severity}\0C{code}\0M{text}\0R{routine}\0\0");
    message(b'E', fields.as_bytes())
}

/// The certificate of every fake, its own root, for `localhost`.
pub(super) fn certificate() -> &'static (X509, PKey<Private>) {
    static MADE: std::sync::OnceLock<(X509, PKey<Private>)> = std::sync::OnceLock::new();
    MADE.get_or_init(|| make("localhost"))
}

/// A certificate that signed nothing.
pub(super) fn stranger() -> X509 {
    make("elsewhere").0
}

fn make(name: &str) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder
        .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
        .unwrap();
    let names = SubjectAlternativeName::new()
        .dns(name)
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

fn acceptor() -> SslAcceptor {
    let (certificate, key) = certificate();
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(certificate).unwrap();
    builder.set_private_key(key).unwrap();
    builder.build()
}
