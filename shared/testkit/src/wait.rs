//! Waits with a deadline.
//! Must hold: every wait ends, and a failed one says what it last saw.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// Between two looks, unless the caller chooses. Short enough not to slow tests down, long
/// enough not to load the servers.
const INTERVAL: Duration = Duration::from_millis(50);

/// A wait that ended without what was waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not within {deadline:?}: {what}; last seen: {last}")]
pub struct Timeout {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub deadline: Duration,
    /// What the last look saw.
    pub last: String,
}

/// Looks until a look gives `Ok`, and returns that. `Err` of a look is what it saw instead.
/// A look that hangs is cut off at the deadline.
///
/// # Errors
/// The deadline has passed.
pub async fn try_eventually<T, S, F, Look>(
    deadline: Duration,
    interval: Duration,
    what: &str,
    mut look: F,
) -> Result<T, Timeout>
where
    S: Debug,
    F: FnMut() -> Look,
    Look: Future<Output = Result<T, S>>,
{
    let until = Instant::now() + deadline;
    let mut last = "nothing: the first look did not come back".to_owned();
    loop {
        match tokio::time::timeout_at(until, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = format!("{seen:?}"),
            Err(_elapsed) => {}
        }
        if Instant::now() + interval >= until {
            return Err(Timeout {
                what: what.to_owned(),
                deadline,
                last,
            });
        }
        tokio::time::sleep(interval).await;
    }
}

/// Looks until a look gives `Ok`, and returns that. `Err` of a look is what it saw instead:
/// `eventually(LONG, "the alias points at g2", || async { alias().await.filter(..).ok_or(seen) })`.
///
/// # Panics
/// The deadline has passed; the message names what was waited for and what was last seen.
pub async fn eventually<T, S, F, Look>(deadline: Duration, what: &str, look: F) -> T
where
    S: Debug,
    F: FnMut() -> Look,
    Look: Future<Output = Result<T, S>>,
{
    eventually_every(INTERVAL, deadline, what, look).await
}

/// [`eventually`] with another time between two looks.
///
/// # Panics
/// The deadline has passed.
pub async fn eventually_every<T, S, F, Look>(
    interval: Duration,
    deadline: Duration,
    what: &str,
    look: F,
) -> T
where
    S: Debug,
    F: FnMut() -> Look,
    Look: Future<Output = Result<T, S>>,
{
    match try_eventually(deadline, interval, what, look).await {
        Ok(value) => value,
        #[expect(clippy::panic, reason = "a failed wait fails its test")]
        Err(timeout) => panic!("{timeout}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn it_returns_what_the_first_good_look_saw() {
        let mut looks = 0;
        let seen = eventually_every(Duration::ZERO, Duration::from_secs(10), "three", || {
            looks += 1;
            std::future::ready(if looks < 3 { Err(looks) } else { Ok(looks) })
        })
        .await;
        assert_eq!(seen, 3);
    }

    #[tokio::test]
    async fn a_failed_wait_says_what_was_wanted_and_what_was_last_seen() {
        let look = || std::future::ready(Err::<(), _>("2 of 3 rows"));
        let timeout = try_eventually(SHORT, SHORT, "all rows", look)
            .await
            .unwrap_err();
        assert_eq!(
            timeout.to_string(),
            "not within 20ms: all rows; last seen: \"2 of 3 rows\""
        );
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off() {
        let look = std::future::pending::<Result<(), ()>>;
        let timeout = try_eventually(SHORT, SHORT, "an answer", look)
            .await
            .unwrap_err();
        assert!(timeout.last.contains("did not come back"), "{timeout}");
    }
}
