//! `build`: configuration and schemas in one file, for a place that has only that file.
//! Must hold: whole or not at all: a build that fails leaves the old lock; only the owner may
//! read it. Must not: connect to anything, resolve a secret.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use definition::{LiteralSecrets, build_lock};
use runtime::cli::{Disk, Exit, complain, print, show_on_stderr};
use serde_json::json;

use super::{BuildFlags, Invocation};

pub(super) fn build(invocation: &Invocation, flags: &BuildFlags) -> Exit {
    let literal = if flags.deny_literal_secrets {
        LiteralSecrets::Refused
    } else {
        LiteralSecrets::Written
    };
    let lock = build_lock(
        &invocation.common.config,
        &Disk,
        &invocation.environment,
        &invocation.overrides(),
        literal,
    );
    let lock = match lock {
        Ok(lock) => lock,
        Err(findings) => {
            show_on_stderr(&findings, &invocation.environment);
            return Exit::Usage;
        }
    };
    show_on_stderr(&lock.warnings, &invocation.environment);
    let out = &flags.out;
    if let Err(error) = write(out, &lock.text) {
        let message = format!("cannot write {}: {error}", out.display());
        complain(&io::Error::new(error.kind(), message));
        return Exit::Failed;
    }
    let bytes = lock.text.len();
    if invocation.is_json() {
        let report = json!({
            "lock": out.display().to_string(),
            "bytes": bytes,
            "warnings": lock.warnings.warnings(),
        });
        print(&report.to_string());
    } else {
        print(&format!("wrote {}, {bytes} bytes", out.display()));
    }
    Exit::Done
}

/// Puts `text` at `out`: the file there is the old one or the new one, never a part.
fn write(out: &Path, text: &str) -> io::Result<()> {
    if out.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let part = beside(out);
    let written = create(&part, text).and_then(|()| fs::rename(&part, out));
    if written.is_err() {
        // The old lock is whole; what is left of the new one is of no use.
        drop(fs::remove_file(&part));
    }
    written
}

/// A name in the same directory, for a file that is not finished.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    out.with_file_name(name)
}

/// A new file that only its owner may read.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_lock_replaces_the_old_one_whole_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("flusso.lock");
        fs::write(&out, "old and longer than the new one").unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(0o644)).unwrap();
        write(&out, "new").unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "new");
        let mode = fs::metadata(&out).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), "new").is_err());
        assert!(write(&folder.path().join("missing/flusso.lock"), "new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
