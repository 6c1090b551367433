use super::*;
use std::sync::Mutex;

/// Writes down every wait and lets none pass.
#[derive(Default)]
struct Recorded(Mutex<Vec<Duration>>);

impl Sleep for Recorded {
    fn sleep(&self, delay: Duration) -> Pause {
        self.0.lock().unwrap().push(delay);
        Box::pin(std::future::ready(()))
    }
}

/// Never ends.
struct Frozen;

impl Sleep for Frozen {
    fn sleep(&self, _: Duration) -> Pause {
        Box::pin(std::future::pending())
    }
}

const POLICY: Policy = Policy {
    first: Duration::from_millis(100),
    cap: Duration::from_secs(1),
};

#[test]
fn the_ceiling_doubles_up_to_the_cap_and_falls_back_on_success() {
    let mut backoff = Backoff::new(POLICY);
    let mut ceilings = Vec::new();
    for _ in 0..6 {
        ceilings.push(backoff.ceiling().as_millis());
        assert!(backoff.next_delay(None) <= POLICY.cap);
    }
    assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
    backoff.reset();
    assert_eq!(backoff.ceiling(), POLICY.first);
}

#[test]
fn many_failures_do_not_overflow() {
    let mut backoff = Backoff::new(POLICY);
    for _ in 0..100 {
        assert!(backoff.next_delay(None) <= POLICY.cap);
    }
}

#[test]
fn the_wait_is_never_shorter_than_what_the_other_side_asked_for() {
    let mut backoff = Backoff::new(POLICY);
    let asked = Duration::from_secs(30);
    let delay = backoff.next_delay(Some(asked));
    assert!(delay >= asked && delay <= asked + POLICY.first, "{delay:?}");
}

#[tokio::test]
async fn it_tries_until_it_works_and_then_starts_afresh() {
    let sleep = Arc::new(Recorded::default());
    let mut backoff = Backoff::with_sleep(POLICY, sleep.clone());
    let mut tries = 0;
    let value = retry(
        &mut backoff,
        &Shutdown::new(),
        |_: &&str| Verdict::Retry(Duration::ZERO),
        || {
            tries += 1;
            std::future::ready(if tries < 4 { Err("down") } else { Ok(tries) })
        },
    )
    .await;
    assert_eq!(value, Ok(4));
    assert_eq!(sleep.0.lock().unwrap().len(), 3);
    assert_eq!(backoff.failures(), 0);
}

#[tokio::test]
async fn an_error_that_cannot_heal_ends_it_at_the_first_try() {
    let result: Result<(), _> = retry(
        &mut Backoff::new(POLICY),
        &Shutdown::new(),
        |_| Verdict::GiveUp,
        || std::future::ready(Err("wrong password")),
    )
    .await;
    assert_eq!(result, Err(Ended::GaveUp("wrong password")));
}

#[tokio::test]
async fn stop_ends_a_wait_and_a_try_at_once() {
    // GIVEN a wait that would last for ever
    let shutdown = Shutdown::new();
    let mut backoff = Backoff::with_sleep(POLICY, Arc::new(Frozen));
    let stop = async { shutdown.trigger() };
    // WHEN stop is asked for THEN it ends
    let (waited, ()) = tokio::join!(biased; backoff.wait(&shutdown, None), stop);
    assert_eq!(waited, Waited::Stopping);
    // AND a try is not even begun
    let result: Result<(), Ended<&str>> = retry(
        &mut backoff,
        &shutdown,
        |_| Verdict::GiveUp,
        std::future::pending,
    )
    .await;
    assert_eq!(result, Err(Ended::Stopping));
}

#[test]
fn retry_after_is_read_as_seconds_or_as_a_date() {
    let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(retry_after(" 120 ", now), Some(Duration::from_mins(2)));
    assert_eq!(
        retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now),
        Some(Duration::from_mins(1))
    );
    assert_eq!(
        retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now),
        Some(Duration::ZERO)
    );
    assert_eq!(retry_after("soon", now), None);
}
