//! Waits between tries, and tries again.
//! In: how often it failed, what the other side asked for. Out: time passed, or stop.
//! Must hold: the wait ends at once when stop is asked for; it never exceeds the cap
//! unless the other side asked for more (`Retry-After`).
//! Must not: decide what is worth another try; the caller's classifier does.
//! Why full jitter: after an outage all processes come back at different moments.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use crate::shutdown::Shutdown;

/// A future that ends after a while.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lets time pass; a test replaces it.
pub trait Sleep: Send + Sync {
    /// Ends after `delay`.
    fn sleep(&self, delay: Duration) -> Pause;
}

/// Real time.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealSleep;

impl Sleep for RealSleep {
    fn sleep(&self, delay: Duration) -> Pause {
        Box::pin(tokio::time::sleep(delay))
    }
}

/// How the waits grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Upper end of the first wait; doubled after each failure.
    pub first: Duration,
    /// No wait is longer, unless the other side asks for it.
    pub cap: Duration,
}

impl Default for Policy {
    /// 100 ms doubling to 10 s: a restart of a server is noticed within seconds,
    /// an outage of hours costs six tries a minute.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            cap: Duration::from_secs(10),
        }
    }
}

/// The state of one retried thing.
#[derive(Clone)]
pub struct Backoff {
    policy: Policy,
    failures: u32,
    sleep: Arc<dyn Sleep>,
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff")
            .field("policy", &self.policy)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Policy::default())
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Waited {
    /// Try again.
    Elapsed,
    /// Stop was asked for: do not.
    Stopping,
}

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_sleep(policy, Arc::new(RealSleep))
    }

    /// The same with another clock, for tests.
    #[must_use]
    pub fn with_sleep(policy: Policy, sleep: Arc<dyn Sleep>) -> Self {
        Self {
            policy,
            failures: 0,
            sleep,
        }
    }

    /// It worked: the next failure waits as little as the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Longest possible next wait.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let factor = 2u32.saturating_pow(self.failures);
        self.policy
            .first
            .saturating_mul(factor)
            .min(self.policy.cap)
    }

    /// Counts a failure and chooses a wait: a random part of the ceiling, on top
    /// of what the other side asked for.
    pub fn next_delay(&mut self, retry_after: Option<Duration>) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        let jitter = ceiling.mul_f64(rand::rng().random_range(0.0..=1.0));
        retry_after.unwrap_or_default().saturating_add(jitter)
    }

    /// Counts a failure and waits. Cancel-safe, but a cancelled wait has counted.
    pub async fn wait(&mut self, shutdown: &Shutdown, retry_after: Option<Duration>) -> Waited {
        let delay = self.next_delay(retry_after);
        let pause = self.sleep.sleep(delay);
        match shutdown.or_stop(pause).await {
            Some(()) => Waited::Elapsed,
            None => Waited::Stopping,
        }
    }
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, not before this time has passed (zero if nothing was asked for).
    Retry(Duration),
    /// Trying again cannot help.
    GiveUp,
}

/// Why [`retry`] ended without a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended<E> {
    /// Stop was asked for.
    #[error("stopped before it succeeded")]
    Stopping,
    /// The classifier gave up on this error.
    #[error(transparent)]
    GaveUp(E),
}

/// Tries until it works, the classifier gives up, or stop is asked for. A try
/// under way is dropped when stop is asked for.
///
/// # Errors
/// Stop, or the error the classifier gave up on.
pub async fn retry<T, E, F, Try, Judge>(
    backoff: &mut Backoff,
    shutdown: &Shutdown,
    mut judge: Judge,
    mut attempt: F,
) -> Result<T, Ended<E>>
where
    F: FnMut() -> Try,
    Try: Future<Output = Result<T, E>>,
    Judge: FnMut(&E) -> Verdict,
{
    loop {
        let error = match shutdown.or_stop(attempt()).await {
            None => return Err(Ended::Stopping),
            Some(Ok(value)) => {
                backoff.reset();
                return Ok(value);
            }
            Some(Err(error)) => error,
        };
        let Verdict::Retry(after) = judge(&error) else {
            return Err(Ended::GaveUp(error));
        };
        if backoff.wait(shutdown, Some(after)).await == Waited::Stopping {
            return Err(Ended::Stopping);
        }
    }
}

/// Reads a `Retry-After` header: whole seconds, or an HTTP date.
/// `now` is the wall clock. `None` when it is neither.
#[must_use]
pub fn retry_after(header: &str, now: jiff::Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?;
    let wait = date.timestamp().duration_since(now);
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests;
