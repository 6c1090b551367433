//! Files of any content end in a deployment or in findings: never in a panic, never in a hang.
//!
//! ```text
//!  corpus ─▶ mutate (seeded) ─▶ load · lock · differences · compile · mapping ─▶ judge
//! ```
//!
//! A run takes some 20,000 inputs; `just fuzz` goes on for as long as it is told. A failure prints
//! the seed and the files: `FLUSSO_SEED=n cargo test -p definition --test never_panics` plays it
//! again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_collect,
    reason = "a helper of a test may end the test"
)]

#[path = "never_panics/corpus.rs"]
mod corpus;
#[path = "support/files.rs"]
mod files;
#[path = "never_panics/judge.rs"]
mod judge;
#[path = "never_panics/mutate.rs"]
mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use testkit::Seed;

use corpus::{Case, corpus};
use judge::Depth;

/// Inputs of one run: a few seconds on one core.
const INPUTS: u64 = 20_000;

/// Longest time for one input. They have at most some tens of kilobytes and take a millisecond;
/// the rest is room for a machine that does something else.
const LONGEST: Duration = Duration::from_secs(20);

/// How many seconds `just fuzz` goes on.
const SECONDS: &str = "FUZZ_SECONDS";

/// The files of a seed.
fn case_of(seed: Seed, corpus: &[Case]) -> Case {
    mutate::mutated(&mut seed.rng(), corpus)
}

/// What the judging thread tells.
enum Event {
    /// This seed is next.
    Started(u64),
    /// Its files were right, or wrong.
    Judged(bool),
    /// No seed is left.
    Done,
}

/// What a run met.
#[derive(Default)]
struct Tally {
    right: u64,
    wrong: u64,
}

/// Judges inputs on a thread of its own, so that one without an end is seen.
fn play(seeds: impl Iterator<Item = u64> + Send + 'static) -> Receiver<Event> {
    let (events, seen) = mpsc::channel();
    std::thread::spawn(move || {
        let corpus = corpus();
        for number in seeds {
            // Nobody is left to hear it only after a failure.
            if events.send(Event::Started(number)).is_err() {
                return;
            }
            let case = case_of(Seed::new(number), &corpus);
            // What reads the files again costs more, and is asked less often.
            let depth = if number % 8 == 0 {
                Depth::Whole
            } else {
                Depth::Load
            };
            let judged = catch_unwind(AssertUnwindSafe(|| judge::judge(&case, depth)));
            let Ok(right) = judged else {
                eprintln!("FLUSSO_SEED={number} plays it again\n{case}");
                return;
            };
            drop(events.send(Event::Judged(right)));
        }
        drop(events.send(Event::Done));
    });
    seen
}

/// Waits until all inputs are judged.
fn watch(seen: &Receiver<Event>, tally: &mut Tally) {
    let mut last = None;
    loop {
        match seen.recv_timeout(LONGEST) {
            Ok(Event::Started(number)) => last = Some(number),
            Ok(Event::Judged(true)) => tally.right += 1,
            Ok(Event::Judged(false)) => tally.wrong += 1,
            Ok(Event::Done) => return,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                panic!("seed {last:?} failed, see above")
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let case = last.map(|number| case_of(Seed::new(number), &corpus()));
                panic!(
                    "seed {last:?} has not ended after {LONGEST:?}:\n{}",
                    case.unwrap()
                );
            }
        }
    }
}

#[test]
fn any_files_end_in_a_deployment_or_in_findings_at_their_place() {
    if let Some(seed) = Seed::asked_for() {
        watch(&play(std::iter::once(seed.get())), &mut Tally::default());
        return;
    }
    let halves = [play(0..INPUTS / 2), play(INPUTS / 2..INPUTS)];
    let mut tally = Tally::default();
    for half in &halves {
        watch(half, &mut tally);
    }
    assert_eq!(tally.right + tally.wrong, INPUTS);
    // Inputs that are all wrong, or all right, would show little.
    assert!(
        tally.right > INPUTS / 20 && tally.wrong > INPUTS / 2,
        "{}",
        tally.right
    );
}

#[test]
#[ignore = "goes on for minutes: just fuzz"]
fn fuzz_for_long() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no main that could pass it in"
    )]
    let seconds = std::env::var(SECONDS).map_or(600, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let first = Seed::asked_for().map_or(INPUTS, Seed::get);
    let seeds = (first..).take_while(move |_| Instant::now() < end);
    let mut tally = Tally::default();
    watch(&play(seeds), &mut tally);
    let Tally { right, wrong } = tally;
    println!(
        "{} inputs from seed {first} on, {right} of them right",
        right + wrong
    );
}

#[test]
fn the_corpus_is_right_and_says_the_same_in_every_layout() {
    for case in corpus() {
        let plain = case
            .load()
            .unwrap_or_else(|findings| panic!("{case}\n{findings}"));
        for (what, other) in mutate::layouts(&case) {
            let loaded = other.load();
            let (deployment, _) =
                loaded.unwrap_or_else(|findings| panic!("{what}: {other}\n{findings}"));
            assert_eq!(
                judge::said(&deployment),
                judge::said(&plain.0),
                "{what}: {other}"
            );
        }
    }
}

#[test]
fn a_mistake_beside_a_secret_shows_no_secret() {
    testkit::with_seeds("a_mistake_beside_a_secret_shows_no_secret", 500, |seed| {
        let case = mutate::mistake_beside_a_secret(&mut seed.rng());
        let loaded = case.load();
        let findings = files::findings(&loaded);
        let report = format!("{}{}", findings.render_human(false), findings.to_json());
        assert!(!report.contains(mutate::SECRET), "{case}\n{report}");
        assert!(!format!("{loaded:?}").contains(mutate::SECRET), "{case}");
    });
}
