//! Seeds of random schedules.
//! In: `FLUSSO_SEED`, or nothing. Out: seeds; on a failure, the command that replays it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The variable that replays one seed.
pub const VARIABLE: &str = "FLUSSO_SEED";

/// What a random schedule is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(u64);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Seed {
    /// This very seed.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The generator it stands for: equal seeds give equal sequences, in every run.
    #[must_use]
    pub fn rng(self) -> StdRng {
        StdRng::seed_from_u64(self.0)
    }

    /// The seed asked for by [`VARIABLE`], if any.
    ///
    /// # Panics
    /// The variable is set and not a number: a replay that replays nothing must fail.
    #[must_use]
    pub fn asked_for() -> Option<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test has no main that could pass it in"
        )]
        let value = std::env::var(VARIABLE).ok()?;
        #[expect(clippy::expect_used, reason = "only tests call it")]
        let number = value.parse().expect("FLUSSO_SEED is a number");
        Some(Self(number))
    }
}

/// Runs a test once with the seed asked for, or else a random one. If it panics, says how
/// to replay it. A future is run inside `body` by the test's own runtime.
pub fn with_seed(test: &str, body: impl FnOnce(Seed)) {
    let seed = Seed::asked_for().unwrap_or_else(|| Seed(rand::rng().random()));
    replayable(test, seed, body);
}

/// Runs a test once per seed `0..count`, or only with the seed asked for.
pub fn with_seeds(test: &str, count: u64, mut body: impl FnMut(Seed)) {
    match Seed::asked_for() {
        Some(seed) => replayable(test, seed, body),
        None => (0..count).for_each(|number| replayable(test, Seed(number), &mut body)),
    }
}

fn replayable(test: &str, seed: Seed, body: impl FnOnce(Seed)) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(seed))) {
        eprintln!("{}", replay(test, seed));
        resume_unwind(panic);
    }
}

/// The command that runs a test with one seed again.
#[must_use]
pub fn replay(test: &str, seed: Seed) -> String {
    format!("replay with: {VARIABLE}={seed} cargo test {test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let draw = |seed: Seed| -> Vec<u32> {
            let mut rng = seed.rng();
            (0..8).map(|_| rng.random()).collect()
        };
        assert_eq!(draw(Seed::new(7)), draw(Seed::new(7)));
        assert_ne!(draw(Seed::new(7)), draw(Seed::new(8)));
    }

    #[test]
    fn a_failing_seed_still_fails_and_ends_the_series() {
        let mut ran = Vec::new();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            with_seeds("some_test", 10, |seed| {
                ran.push(seed.get());
                assert_ne!(seed.get(), 3, "the fault");
            });
        }));
        assert!(failed.is_err());
        assert_eq!(ran, [0, 1, 2, 3]);
    }

    #[test]
    fn the_replay_is_a_command() {
        let command = replay("some_test", Seed::new(42));
        assert_eq!(command, "replay with: FLUSSO_SEED=42 cargo test some_test");
    }
}
