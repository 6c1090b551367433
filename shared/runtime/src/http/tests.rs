use super::*;
use prometheus_client::metrics::counter::Counter;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LONG: Duration = Duration::from_secs(10);

struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn get_with(address: SocketAddr, path: &str, headers: &str) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = tokio::time::timeout(LONG, exchange)
        .await
        .expect("an answer in time");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

async fn ask(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, "").await
}

fn surface(shutdown: &Shutdown) -> (Surface, Liveness, Readiness) {
    let (liveness, readiness) = (Liveness::new(), Readiness::new(shutdown));
    let surface = Surface::new(
        liveness.clone(),
        readiness.clone(),
        Arc::new(Registry::default()),
        || json!({"service": "test"}),
    );
    (surface, liveness, readiness)
}

#[tokio::test]
async fn it_is_ready_once_every_part_started_and_not_any_more_while_stopping() {
    // GIVEN two parts of which one has started
    let shutdown = Shutdown::new();
    let (surface, _, readiness) = surface(&shutdown);
    let (postgres, kafka) = (readiness.register("postgres"), readiness.register("kafka"));
    let listeners = Shutdown::new();
    let serving = surface.serve("127.0.0.1:0", &listeners).await.unwrap();
    postgres.ready();
    let starting = ask(serving.address(), "/readyz").await;
    assert_eq!(starting.status, 503);
    assert!(
        starting.body.contains(r#""waiting_for":["kafka"]"#),
        "{}",
        starting.body
    );
    // WHEN the other one starts
    kafka.ready();
    assert_eq!(ask(serving.address(), "/readyz").await.status, 200);
    // AND stop is asked for
    shutdown.trigger();
    let stopping = ask(serving.address(), "/readyz").await;
    assert_eq!(
        (stopping.status, stopping.body.contains("stopping")),
        (503, true)
    );
}

#[test]
fn only_a_loop_that_has_not_turned_for_a_minute_is_unhealthy() {
    let liveness = Liveness::new();
    let slow = liveness.register("slow");
    // GIVEN a loop that stands, WHEN a minute has gone by THEN it is stuck
    let registered = std::time::Instant::now();
    assert!(
        liveness
            .stuck_at(registered + STUCK.mul_f64(0.9))
            .is_empty()
    );
    let stuck = liveness.stuck_at(registered + STUCK);
    assert_eq!(stuck.len(), 1);
    assert!(stuck[0].0 == "slow" && stuck[0].1 >= STUCK);
    // BUT not one that has turned since
    let turned = std::time::Instant::now();
    slow.turn();
    assert!(liveness.stuck_at(turned + STUCK.mul_f64(0.9)).is_empty());
    // NOR one that has ended
    drop(slow);
    assert!(liveness.stuck_at(turned + STUCK * 2).is_empty());
}

const STUCK: Duration = health::STUCK_AFTER;

#[tokio::test]
async fn status_metrics_and_further_routes_are_served() {
    let mut registry = Registry::default();
    let counter: Counter = Counter::default();
    registry.register("flusso_test", "A test", counter.clone());
    counter.inc();
    let shutdown = Shutdown::new();
    let surface = Surface::new(
        Liveness::new(),
        Readiness::new(&shutdown),
        Arc::new(registry),
        || json!({"service": "test"}),
    )
    .merge(Router::new().route("/v1/extra", get(|| async { "extra" })));
    let serving = surface.serve("127.0.0.1:0", &shutdown).await.unwrap();
    let address = serving.address();

    assert_eq!(ask(address, "/healthz").await.status, 200);
    assert_eq!(ask(address, "/status").await.body, r#"{"service":"test"}"#);
    assert!(
        ask(address, "/metrics")
            .await
            .body
            .contains("flusso_test_total 1")
    );
    assert_eq!(ask(address, "/v1/extra").await.body, "extra");
    let missing = ask(address, "/nothing").await;
    assert_eq!(missing.status, 404);
    assert!(
        missing
            .body
            .starts_with(r#"{"error":{"code":"not_found","message":""#)
    );
}

#[tokio::test]
async fn an_occupied_port_is_one_clear_error() {
    let shutdown = Shutdown::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = surface(&shutdown)
        .0
        .serve(&address, &shutdown)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }));
    let text = error.to_string();
    assert!(
        text.contains(&address) && text.contains("[server] public_address"),
        "{text}"
    );
    // Also through the short form for all interfaces.
    let all = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let short = format!(":{}", all.local_addr().unwrap().port());
    let error = surface(&shutdown)
        .0
        .serve(&short, &shutdown)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_surface_ends() {
    // GIVEN a request that is being worked on
    let shutdown = Shutdown::new();
    let (entered, release) = (Arc::new(tokio::sync::Notify::new()), Shutdown::new());
    let slow = {
        let (entered, release) = (Arc::clone(&entered), release.clone());
        get(move || async move {
            entered.notify_one();
            release.requested().await;
            "done"
        })
    };
    let (surface, _, _) = surface(&shutdown);
    let surface = surface.merge(Router::new().route("/slow", slow));
    let mut serving = surface.serve("127.0.0.1:0", &shutdown).await.unwrap();
    let address = serving.address();
    let mut request = spawn("request", async move { ask(address, "/slow").await.body });
    tokio::time::timeout(LONG, entered.notified())
        .await
        .unwrap();
    // WHEN stop is asked for THEN it still gets its answer
    shutdown.trigger();
    release.trigger();
    assert_eq!(request.join().await.unwrap(), "done");
    tokio::time::timeout(LONG, serving.ended())
        .await
        .unwrap()
        .unwrap();
}

async fn private(
    user: &str,
    password: Option<&str>,
    token: Option<&str>,
) -> (Serving, Shutdown, Arc<AtomicBool>) {
    let reached = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&reached);
    let routes = Router::new().route(
        "/v1/indexes",
        get(move || async move {
            seen.store(true, Ordering::SeqCst);
            "indexes"
        }),
    );
    let secret = |text: &str| crate::secret::Secret::new(text);
    let credentials =
        Credentials::new(secret(user), password.map(secret), token.map(secret)).unwrap();
    let shutdown = Shutdown::new();
    let serving = serve_private("127.0.0.1:0", routes, credentials, &shutdown)
        .await
        .unwrap();
    (serving, shutdown, reached)
}

fn basic(login: &str) -> String {
    format!(
        "authorization: Basic {}\r\n",
        openssl::base64::encode_block(login.as_bytes())
    )
}

#[tokio::test]
async fn the_private_surface_lets_password_and_token_in_and_nobody_else() {
    let (serving, _shutdown, reached) = private("admin", Some("pä:ss"), Some("t0ken")).await;
    let address = serving.address();
    for wrong in [
        String::new(),
        basic("admin:wrong"),
        basic("root:pä:ss"),
        basic("admin"),
        "authorization: Basic !!!\r\n".to_owned(),
        "authorization: Bearer t0ke\r\n".to_owned(),
        "authorization: t0ken\r\n".to_owned(),
    ] {
        let refused = get_with(address, "/v1/indexes", &wrong).await;
        assert_eq!(refused.status, 401, "{wrong}");
        assert!(
            refused.head.contains("www-authenticate: basic realm="),
            "{}",
            refused.head
        );
        assert!(refused.body.contains(r#""code":"unauthorized""#));
    }
    assert!(!reached.load(Ordering::SeqCst));
    // A path that does not exist tells nothing either.
    assert_eq!(ask(address, "/nothing").await.status, 401);

    assert_eq!(
        get_with(address, "/v1/indexes", &basic("admin:pä:ss"))
            .await
            .body,
        "indexes"
    );
    let bearer = "authorization: bearer t0ken\r\n";
    assert_eq!(
        get_with(address, "/v1/indexes", bearer).await.body,
        "indexes"
    );
    assert_eq!(get_with(address, "/nothing", bearer).await.status, 404);
}

#[tokio::test]
async fn a_way_in_that_is_not_configured_is_closed() {
    let (serving, _shutdown, _) = private("admin", None, Some("t0ken")).await;
    let refused = get_with(serving.address(), "/v1/indexes", &basic("admin:")).await;
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("www-authenticate: bearer"));
    let none = Credentials::new(crate::secret::Secret::new("admin"), None, None);
    assert!(none.is_none());
}
