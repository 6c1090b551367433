//! A scripted HTTP server on the loopback, for tests of what OpenSearch does to us.
//! Each request takes the next step of the script; without one it is answered 500.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done with one request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Answer it: status, more header lines, body.
    Answer(u16, &'static str, String),
    /// Read it all, then close without a word.
    Close,
    /// Read it all, then stay silent.
    Silence,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Method and target.
    pub(crate) line: String,
    /// Header lines, lower case names.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

/// The server; ends with the test's runtime.
pub(crate) struct Loopback {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _task: runtime::task::Task<()>,
}

impl Loopback {
    pub(crate) async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let task = runtime::task::spawn("loopback", accept(listener, script, Arc::clone(&seen)));
        Loopback {
            url,
            seen,
            _task: task,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

type Script = Arc<Mutex<VecDeque<Step>>>;

async fn accept(listener: TcpListener, script: Script, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut tasks = runtime::task::Tasks::new();
    while let Ok((stream, _)) = listener.accept().await {
        tasks.spawn(
            "connection",
            serve(stream, Arc::clone(&script), Arc::clone(&seen)),
        );
    }
}

async fn serve(mut stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<Seen>>>) {
    while let Some(request) = read(&mut stream).await {
        seen.lock().unwrap().push(request);
        let step = script.lock().unwrap().pop_front();
        match step.unwrap_or(Step::Answer(500, "", String::from("the script is over"))) {
            Step::Answer(status, headers, body) => {
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                );
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Step::Close => return,
            Step::Silence => std::future::pending().await,
        }
    }
}

/// `None` at the end of the stream: a connection that only probed sends nothing.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
            let headers = headers.to_lowercase();
            let length = headers
                .lines()
                .find_map(|header| header.strip_prefix("content-length: "))
                .map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = bytes[end + 4..].to_vec();
                let line = line.trim_end_matches(" HTTP/1.1").to_owned();
                return Some(Seen {
                    line,
                    headers,
                    body,
                });
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}
