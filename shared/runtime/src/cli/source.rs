//! What a command reads: the configuration and its schema files, or their lock.
//! In: the flags. Out: a checked deployment.
//! Must hold: with `--locked` always the lock; else the configuration, and the lock only where
//! there is no configuration. Must not: pass from a configuration that was named by hand to a
//! lock that was not: a slip of the pen would run another deployment.

use std::path::Path;

use definition::{
    Deployment, Diagnostic, Diagnostics, LiteralSecrets, Overrides, build_lock, load, load_lock,
};

use super::{CommonFlags, DEFAULT_CONFIG, DEFAULT_LOCK, Disk};
use crate::Environment;

/// What is read.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Config,
    Lock,
    /// The configuration is missing; there is a lock that nobody asked for.
    Neither,
}

fn source(common: &CommonFlags, exists: impl Fn(&Path) -> bool) -> Source {
    let is_lock_meant =
        common.config == Path::new(DEFAULT_CONFIG) || common.lock != Path::new(DEFAULT_LOCK);
    match (common.locked, exists(&common.config), exists(&common.lock)) {
        (true, _, _) => Source::Lock,
        (false, false, true) if is_lock_meant => Source::Lock,
        (false, false, true) => Source::Neither,
        (false, true, _) | (false, false, false) => Source::Config,
    }
}

impl CommonFlags {
    /// Loads what the flags name.
    ///
    /// # Errors
    /// All findings of all files, with at least one error.
    pub fn load(
        &self,
        environment: &Environment,
        overrides: &Overrides,
    ) -> Result<(Deployment, Diagnostics), Diagnostics> {
        match source(self, Path::exists) {
            Source::Config => load(&self.config, &Disk, environment, overrides),
            Source::Lock => self.load_lock(environment, overrides),
            Source::Neither => {
                let message = format!("cannot read {}: no such file", self.config.display());
                let help = format!(
                    "name another with --config; {} is there, --locked reads it",
                    self.lock.display()
                );
                Err(Diagnostic::error("E105", message).help(help).into())
            }
        }
    }

    fn load_lock(
        &self,
        environment: &Environment,
        overrides: &Overrides,
    ) -> Result<(Deployment, Diagnostics), Diagnostics> {
        tracing::info!(lock = %self.lock.display(), "the lock is read");
        let (deployment, mut warnings) = load_lock(&self.lock, &Disk, environment, overrides)?;
        if self.config.exists() && !self.is_current(environment, overrides) {
            let (config, lock) = (self.config.display(), self.lock.display());
            let message = format!("{config} or its schema files changed since {lock} was built");
            warnings.push(
                Diagnostic::warning("W225", message)
                    .help("the lock counts; build it again: worker-svc build"),
            );
            warnings.sort();
        }
        Ok((deployment, warnings))
    }

    /// Whether the lock is what the files beside it would give now.
    fn is_current(&self, environment: &Environment, overrides: &Overrides) -> bool {
        let literal = LiteralSecrets::Written;
        let built = build_lock(&self.config, &Disk, environment, overrides, literal);
        match (built, std::fs::read_to_string(&self.lock)) {
            (Ok(built), Ok(text)) => built.text == text,
            // Files with errors are not those that the lock was built from.
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        common: CommonFlags,
    }

    fn chosen(flags: &[&str], files: &[&str]) -> Source {
        let words = std::iter::once("test").chain(flags.iter().copied());
        let cli = Cli::parse_from(words);
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        source(&cli.common, |path| files.iter().any(|file| file == path))
    }

    #[test]
    fn the_lock_is_read_when_asked_for_or_when_there_is_nothing_else() {
        let (config, lock) = ("flusso.toml", "flusso.lock");
        for (flags, files, wanted) in [
            (vec![], vec![config, lock], Source::Config),
            (vec![], vec![config], Source::Config),
            (vec![], vec![lock], Source::Lock),
            (vec![], vec![], Source::Config),
            (vec!["--locked"], vec![config, lock], Source::Lock),
            (vec!["--locked"], vec![config], Source::Lock),
            (
                vec!["--lock", "a.lock"],
                vec![config, "a.lock"],
                Source::Config,
            ),
            (vec!["--lock", "a.lock"], vec!["a.lock"], Source::Lock),
            (vec!["-c", "typo.toml"], vec![lock], Source::Neither),
            (
                vec!["-c", "gone.toml", "--lock", "a.lock"],
                vec!["a.lock"],
                Source::Lock,
            ),
            (vec!["-c", "a.toml"], vec!["a.toml", lock], Source::Config),
            // An empty twin counts as unset.
            (vec!["-c", "", "--lock", ""], vec![lock], Source::Lock),
        ] {
            assert_eq!(chosen(&flags, &files), wanted, "{flags:?} {files:?}");
        }
    }
}
