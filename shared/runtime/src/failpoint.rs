//! Named places where a test may break the process.
//! In: the names that exist, and a text that arms some of them. Out: what happens at a hit.
//! Must hold: arming a name that no code defines is an error, and every hit is counted, so
//! that a test can prove that its fault happened; a build without debug assertions refuses
//! to be armed.
//! Must not: be global; the registry is a value that goes with its service.
//!
//! The text: `name=action@n`, several with commas. `action` is `kill` (the process ends as
//! `kill -9` would end it), `error` (the hit fails) or `pause` (the hit waits until
//! released). `@n` is the hit that acts, counted from 1, by default the first; `@n+` means
//! that one and all after it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::Environment;

/// The variable that arms failpoints of a started process.
pub const VARIABLE: &str = "FLUSSO_FAILPOINTS";

/// What an armed hit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process ends at once: nothing is flushed, no destructor runs.
    Kill,
    /// The hit returns [`Injected`].
    Error,
    /// The hit waits for [`Failpoints::release`].
    Pause,
}

/// An error made by a failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failpoint {0}")]
pub struct Injected(pub &'static str);

/// Why failpoints cannot be armed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// Not of the form `name=action@n`.
    #[error(
        "{0:?} is not a failpoint; use name=kill|error|pause, then @n or @n+ if not the first hit"
    )]
    Form(String),
    /// No code defines it.
    #[error("there is no failpoint {name:?}; there are: {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// A build for production.
    #[error("{VARIABLE} is set, and this build has no failpoints")]
    NotInThisBuild,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    action: Action,
    from: u64,
    and_after: bool,
}

impl Armed {
    fn acts_at(&self, hit: u64) -> bool {
        hit == self.from || (self.and_after && hit > self.from)
    }
}

#[derive(Debug, Default)]
struct Point {
    armed: Option<Armed>,
    hits: u64,
    fired: u64,
}

struct Registry {
    points: Mutex<BTreeMap<&'static str, Point>>,
    // Rises with every hit and every release: whoever waits looks again.
    changed: watch::Sender<u64>,
}

/// The failpoints of one service. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Failpoints(Option<Arc<Registry>>);

impl fmt::Debug for Failpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("Failpoints(none)"),
            Some(registry) => f
                .debug_tuple("Failpoints")
                .field(&*registry.lock())
                .finish(),
        }
    }
}

impl Default for Failpoints {
    fn default() -> Self {
        Self::none()
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Point>> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Failpoints {
    /// None: every hit passes and costs nothing. For production.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The failpoints of a service, none of them armed.
    #[must_use]
    pub fn new(known: &[&'static str]) -> Self {
        let points = known.iter().map(|&name| (name, Point::default())).collect();
        Self(Some(Arc::new(Registry {
            points: Mutex::new(points),
            changed: watch::channel(0).0,
        })))
    }

    /// What [`VARIABLE`] arms; [`Failpoints::none`] if it is unset or empty.
    ///
    /// # Errors
    /// The text cannot be read, names an unknown point, or this build has no failpoints.
    pub fn from_environment(
        environment: &Environment,
        known: &[&'static str],
    ) -> Result<Self, ArmError> {
        match environment.get(VARIABLE).filter(|text| !text.is_empty()) {
            None => Ok(Self::none()),
            Some(_) if !cfg!(debug_assertions) => Err(ArmError::NotInThisBuild),
            Some(text) => {
                let failpoints = Self::new(known);
                failpoints.arm(text)?;
                Ok(failpoints)
            }
        }
    }

    /// Arms points; all or, on an error, none. Hits counted so far count on.
    ///
    /// # Errors
    /// The text cannot be read or names an unknown point.
    pub fn arm(&self, text: &str) -> Result<(), ArmError> {
        let wanted: Vec<(&str, Armed)> = text
            .split(',')
            .map(|item| parse(item.trim()))
            .collect::<Result<_, _>>()?;
        let mut points = match &self.0 {
            Some(registry) => registry.lock(),
            None => return Err(ArmError::NotInThisBuild),
        };
        for (name, _) in &wanted {
            if !points.contains_key(name) {
                let known: Vec<&str> = points.keys().copied().collect();
                return Err(ArmError::Unknown {
                    name: (*name).to_owned(),
                    known: known.join(" "),
                });
            }
        }
        for (name, armed) in wanted {
            if let Some(point) = points.get_mut(name) {
                point.armed = Some(armed);
            }
        }
        Ok(())
    }

    /// Marks that this place was reached, and does what it is armed with. Not
    /// cancel-safe: a dropped hit has counted.
    ///
    /// # Errors
    /// [`Injected`], if it is armed with `error`.
    pub async fn hit(&self, name: &'static str) -> Result<(), Injected> {
        let Some(registry) = &self.0 else {
            return Ok(());
        };
        // Subscribed before it is counted: whoever sees the hit may release at once.
        let mut changed = registry.changed.subscribe();
        let action = registry.count(name);
        registry.announce();
        match action {
            None => Ok(()),
            Some(Action::Kill) => std::process::abort(),
            Some(Action::Error) => Err(Injected(name)),
            Some(Action::Pause) => {
                // The sender lives in the registry, so waiting ends only by release.
                let released = changed.wait_for(|_| registry.is_released(name)).await;
                drop(released);
                Ok(())
            }
        }
    }

    /// Like [`Failpoints::hit`] for code that may block (the consumer's thread).
    ///
    /// # Errors
    /// [`Injected`], if it is armed with `error`; `pause` is refused so, too.
    pub fn hit_blocking(&self, name: &'static str) -> Result<(), Injected> {
        let Some(registry) = &self.0 else {
            return Ok(());
        };
        let action = registry.count(name);
        registry.announce();
        match action {
            None => Ok(()),
            Some(Action::Kill) => std::process::abort(),
            Some(Action::Error | Action::Pause) => Err(Injected(name)),
        }
    }

    /// Disarms a point and lets go on what it paused.
    pub fn release(&self, name: &str) {
        if let Some(registry) = &self.0 {
            if let Some(point) = registry.lock().get_mut(name) {
                point.armed = None;
            }
            registry.announce();
        }
    }

    /// How often the place was reached.
    #[must_use]
    pub fn hits(&self, name: &str) -> u64 {
        self.read(name, |point| point.hits)
    }

    /// How often it acted. A fault test asserts that this is not zero.
    #[must_use]
    pub fn fired(&self, name: &str) -> u64 {
        self.read(name, |point| point.fired)
    }

    /// Waits until a point has acted. `false` when the time is over.
    pub async fn wait_fired(&self, name: &str, timeout: Duration) -> bool {
        let Some(registry) = &self.0 else {
            return false;
        };
        let mut changed = registry.changed.subscribe();
        let fired = changed.wait_for(|_| self.fired(name) > 0);
        matches!(tokio::time::timeout(timeout, fired).await, Ok(Ok(_)))
    }

    fn read(&self, name: &str, what: impl Fn(&Point) -> u64) -> u64 {
        self.0
            .as_ref()
            .and_then(|registry| registry.lock().get(name).map(what))
            .unwrap_or(0)
    }
}

impl Registry {
    /// Counts a hit and says what it does.
    fn count(&self, name: &'static str) -> Option<Action> {
        let mut points = self.lock();
        let Some(point) = points.get_mut(name) else {
            debug_assert!(false, "failpoint {name} is not in the list of known names");
            return None;
        };
        point.hits += 1;
        let armed = point.armed.filter(|armed| armed.acts_at(point.hits))?;
        point.fired += 1;
        // The one trace a killed process leaves of its fault.
        tracing::warn!(failpoint = name, hit = point.hits, action = ?armed.action, "failpoint fires");
        Some(armed.action)
    }

    fn is_released(&self, name: &str) -> bool {
        self.lock()
            .get(name)
            .is_none_or(|point| point.armed.is_none())
    }
}

fn parse(item: &str) -> Result<(&str, Armed), ArmError> {
    let form = || ArmError::Form(item.to_owned());
    let (name, rest) = item.split_once('=').ok_or_else(form)?;
    let (action, at) = rest.split_once('@').unwrap_or((rest, "1"));
    let (at, and_after) = match at.strip_suffix('+') {
        Some(at) => (at, true),
        None => (at, false),
    };
    let from = at.parse().ok().filter(|from| *from > 0).ok_or_else(form)?;
    let action = match action {
        "kill" => Action::Kill,
        "error" => Action::Error,
        "pause" => Action::Pause,
        _ => return Err(form()),
    };
    Ok((
        name,
        Armed {
            action,
            from,
            and_after,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str = "publish.send";
    const COMMIT: &str = "offsets.commit";
    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_armed_hit_fails_and_only_that_one() {
        let failpoints = Failpoints::new(&[SEND, COMMIT]);
        failpoints.arm("publish.send=error@2").unwrap();
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            outcomes.push(failpoints.hit(SEND).await.is_ok());
        }
        assert_eq!(outcomes, [true, false, true]);
        assert_eq!((failpoints.hits(SEND), failpoints.fired(SEND)), (3, 1));
        assert_eq!((failpoints.hits(COMMIT), failpoints.fired(COMMIT)), (0, 0));
    }

    #[tokio::test]
    async fn a_plus_arms_all_hits_from_there() {
        let failpoints = Failpoints::new(&[SEND]);
        failpoints.arm("publish.send=error@2+").unwrap();
        let mut failed = 0;
        for _ in 0..4 {
            failed += u8::from(failpoints.hit_blocking(SEND).is_err());
        }
        assert_eq!(failed, 3);
    }

    #[tokio::test]
    async fn a_paused_hit_waits_until_released() {
        // GIVEN a point that pauses
        let failpoints = Failpoints::new(&[SEND]);
        failpoints.arm("publish.send=pause").unwrap();
        let mut hit = {
            let failpoints = failpoints.clone();
            crate::task::spawn("hit", async move { failpoints.hit(SEND).await })
        };
        // WHEN it is reached THEN the code waits
        assert!(failpoints.wait_fired(SEND, LONG).await);
        assert!(!hit.is_finished());
        // AND goes on when released
        failpoints.release(SEND);
        let done = tokio::time::timeout(LONG, hit.join())
            .await
            .expect("released");
        assert_eq!(done.unwrap(), Ok(()));
    }

    #[test]
    fn arming_a_name_that_no_code_defines_is_an_error_and_arms_nothing() {
        let failpoints = Failpoints::new(&[SEND]);
        let error = failpoints
            .arm("publish.send=error,publish.sent=kill")
            .unwrap_err();
        assert!(error.to_string().contains("publish.sent"), "{error}");
        assert!(
            error.to_string().contains("there are: publish.send"),
            "{error}"
        );
        assert_eq!(failpoints.hit_blocking(SEND), Ok(()));
    }

    #[test]
    fn what_is_no_failpoint_is_refused() {
        for wrong in [
            "",
            "a",
            "a=",
            "a=explode",
            "a=kill@",
            "a=kill@0",
            "a=kill@x",
            "a=kill@-1",
        ] {
            assert!(matches!(parse(wrong), Err(ArmError::Form(_))), "{wrong}");
        }
    }

    #[tokio::test]
    async fn without_a_registry_every_hit_passes() {
        let none = Failpoints::from_environment(&Environment::new(), &[SEND]).unwrap();
        assert_eq!(none.hit("anything").await, Ok(()));
        assert_eq!(none.hits("anything"), 0);
    }

    #[test]
    fn the_variable_arms_a_service() {
        let environment = Environment::from([(VARIABLE.into(), format!("{SEND}=error@1"))]);
        let failpoints = Failpoints::from_environment(&environment, &[SEND]).unwrap();
        assert_eq!(failpoints.hit_blocking(SEND), Err(Injected(SEND)));
    }

    /// The name of the test below, as the harness knows it.
    const VICTIM: &str = "failpoint::tests::victim";

    #[test]
    #[ignore = "it dies: run by a_kill_ends_the_process_without_unwinding"]
    fn victim() {
        let failpoints = Failpoints::new(&[SEND]);
        failpoints.arm("publish.send=kill@2").unwrap();
        assert_eq!(failpoints.hit_blocking(SEND), Ok(()));
        println!("alive after the first hit");
        let second = failpoints.hit_blocking(SEND);
        println!("alive after the second hit: {second:?}");
    }

    #[test]
    fn a_kill_ends_the_process_without_unwinding() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([VICTIM, "--exact", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&child.stdout);
        // Ended by a signal, not by an exit code.
        assert_eq!(child.status.code(), None, "{out}");
        assert!(
            out.contains("after the first hit") && !out.contains("after the second"),
            "{out}"
        );
    }
}
