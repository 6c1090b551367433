//! What can go wrong with Postgres, sorted by what to do about it.
//! Must hold: no password in a message, and no value of a row: the server quotes values
//! in messages of class 22, and applications put anything into their own (class P0).

use std::error::Error as _;
use std::fmt;
use std::io;

use tokio_postgres::error::{DbError, SqlState};

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A certificate, key or setting cannot be used.
    Settings,
    /// Nobody listens there, or the name does not resolve.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server does not speak TLS, and it is required.
    TlsRefused,
    /// The TLS handshake failed: certificates do not match.
    TlsFailed,
    /// Wrong or missing password (28P01).
    Password,
    /// `pg_hba.conf` has no line for us, or the role may not log in (28000).
    NotAllowed,
    /// No such role (28000).
    RoleMissing,
    /// No such database (3D000).
    DatabaseMissing,
    /// No privilege on something (42501).
    Privilege,
    /// A standby answers.
    NotPrimary,
    /// No connection left (53300).
    TooManyConnections,
    /// Starting up, shutting down or in recovery (57P01 to 57P03).
    NotReady,
    /// The connection broke.
    Closed,
    /// The pool had no session free in time.
    PoolBusy,
    /// Any other answer of the server: look at [`Error::code`].
    Server,
    /// The answer has not the expected form: a bug, or another program answers.
    Unexpected,
}

/// One failed connection or statement.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    code: Option<SqlState>,
    doing: String,
    message: String,
    help: Option<String>,
    transient: bool,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.message)
    }
}

impl std::error::Error for Error {}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        doing: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            code: None,
            doing: doing.into(),
            message: message.into(),
            help: help(kind).map(str::to_owned),
            transient: passes(kind),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The server's SQLSTATE, if a server answered.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        self.code.as_ref()
    }

    /// Whether trying again can help: the world's fault, not the set-up's.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// Whether a rotated password may mend it: resolve the secret again.
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        matches!(self.kind, ErrorKind::Password)
    }

    /// One sentence for the operator, where there is one to give.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The error of a statement. `doing` says what was tried, e.g. "cannot read the
    /// catalog".
    #[must_use]
    pub fn from_sql(doing: impl Into<String>, error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            let kind = kind_of(db);
            let mut new = Self::new(kind, doing, describe(db));
            new.code = Some(db.code().clone());
            new.transient = is_transient(error);
            return new;
        }
        let io = source_io(error);
        let (kind, message) = match io {
            Some(io) if io.kind() == io::ErrorKind::TimedOut => {
                (ErrorKind::Timeout, io.to_string())
            }
            Some(io) => (ErrorKind::Closed, io.to_string()),
            None if error.is_closed() => (
                ErrorKind::Closed,
                "the server closed the connection".to_owned(),
            ),
            None => (ErrorKind::Unexpected, with_source(error)),
        };
        Self::new(kind, doing, message)
    }

    /// An answer of the server that is not of the form that was asked for.
    #[must_use]
    pub fn unreadable(doing: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self::new(ErrorKind::Unexpected, doing, error.to_string())
    }

    /// The error of connecting: also tells a missing password from other trouble.
    pub(crate) fn from_startup(
        doing: impl Into<String>,
        error: &tokio_postgres::Error,
        has_password: bool,
    ) -> Self {
        let from_server = error.as_db_error().is_some() || source_io(error).is_some();
        if !has_password && !from_server && !error.is_closed() {
            return Self::new(
                ErrorKind::Password,
                doing,
                "the server asks for a password, and none is configured",
            );
        }
        let mut new = Self::from_sql(doing, error);
        if new.kind == ErrorKind::Unexpected {
            // SCRAM's own checks fail here: the server cannot prove that it knows the
            // password, or demands what we cannot do.
            new.kind = ErrorKind::Password;
            new.transient = false;
            new.help = help(ErrorKind::Password).map(str::to_owned);
        }
        new
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum; what is not named has no meaning of its own here"
    )]
    pub(crate) fn from_io(doing: impl Into<String>, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            io::ErrorKind::PermissionDenied => ErrorKind::Settings,
            _ => ErrorKind::Unreachable,
        };
        Self::new(kind, doing, error.to_string())
    }

    /// One error for several hosts, none of which would do.
    pub(crate) fn none_of(target: &str, mut errors: Vec<Error>) -> Self {
        if errors.len() == 1
            && let Some(only) = errors.pop()
        {
            return only;
        }
        let worst = errors
            .iter()
            .find(|error| !error.transient)
            .or_else(|| errors.first());
        let (kind, code) = match worst {
            Some(error) => (error.kind, error.code.clone()),
            None => (ErrorKind::Settings, None),
        };
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut new = Self::new(
            kind,
            format!("no primary among {target}"),
            if texts.is_empty() {
                "no host is configured".to_owned()
            } else {
                texts.join("; ")
            },
        );
        new.code = code;
        // One host that may come back is reason enough to go on trying.
        new.transient = errors.iter().any(|error| error.transient);
        new
    }
}

/// Whether the same statement may succeed later, on a fresh connection if need be. A
/// row's or a statement's own fault is not; unknown codes are not.
#[must_use]
pub fn is_transient(error: &tokio_postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else {
        return error.is_closed() || source_io(error).is_some();
    };
    let code = db.code();
    // A plan outlived a change of its table; a new session plans afresh.
    if db.routine() == Some("RevalidateCachedQuery") {
        return true;
    }
    let class = code.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "40" | "53" | "57" | "58")
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::OBJECT_IN_USE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::SNAPSHOT_TOO_OLD,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

/// A server's error without what may be a value of a row.
#[must_use]
pub fn describe(db: &DbError) -> String {
    let code = db.code().code();
    match code.get(..2) {
        Some("22" | "P0") => {
            let at: Vec<&str> = [db.schema(), db.table(), db.column(), db.datatype()]
                .into_iter()
                .flatten()
                .collect();
            if at.is_empty() {
                format!("{code} (the message may quote data and is not shown)")
            } else {
                format!(
                    "{code} in {} (the message may quote data and is not shown)",
                    at.join(".")
                )
            }
        }
        _ => format!("{} ({code})", db.message()),
    }
}

fn kind_of(db: &DbError) -> ErrorKind {
    let code = db.code();
    if *code == SqlState::INVALID_PASSWORD {
        ErrorKind::Password
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        // The message may be in any language; the routine is not.
        match db.routine() {
            Some("InitializeSessionUserId") if !db.message().contains("permitted") => {
                ErrorKind::RoleMissing
            }
            _ => ErrorKind::NotAllowed,
        }
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        ErrorKind::DatabaseMissing
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        ErrorKind::Privilege
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        ErrorKind::TooManyConnections
    } else if *code == SqlState::CANNOT_CONNECT_NOW
        || *code == SqlState::ADMIN_SHUTDOWN
        || *code == SqlState::CRASH_SHUTDOWN
    {
        ErrorKind::NotReady
    } else {
        ErrorKind::Server
    }
}

fn passes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unreachable
            | ErrorKind::Timeout
            | ErrorKind::NotPrimary
            | ErrorKind::TooManyConnections
            | ErrorKind::NotReady
            | ErrorKind::Closed
            | ErrorKind::PoolBusy
    )
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have no advice")]
fn help(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Unreachable | ErrorKind::Timeout => {
            "check host and port in [source], that Postgres runs, and that listen_addresses and firewalls let us through"
        }
        ErrorKind::TlsRefused => "set ssl = on at the server, or sslmode = \"prefer\" in [source]",
        ErrorKind::TlsFailed => {
            "check sslrootcert, sslcert and sslkey in [source]; verify-full also wants the host name in the server's certificate"
        }
        ErrorKind::Password => "check user and password in [source]",
        ErrorKind::NotAllowed => {
            "add a line for this user, database and address to the server's pg_hba.conf and reload it; the role needs LOGIN"
        }
        ErrorKind::RoleMissing => "create the role, or correct the user in [source]",
        ErrorKind::DatabaseMissing => "create the database, or correct its name in [source]",
        ErrorKind::NotPrimary => {
            "name the primary in [source], or several hosts of which one is it"
        }
        ErrorKind::TooManyConnections => {
            "raise max_connections at the server, or lower [worker] pool_size"
        }
        ErrorKind::PoolBusy => "raise [worker] pool_size",
        _ => return None,
    })
}

fn source_io(error: &tokio_postgres::Error) -> Option<&io::Error> {
    error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
}

fn with_source(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
