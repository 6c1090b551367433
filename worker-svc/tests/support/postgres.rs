//! The Postgres of the run, as the services' own code reaches it.

use runtime::postgres::{Parts, Postgres, Target, Tls};
use testkit::server;

/// Its database.
pub(crate) fn postgres() -> Postgres {
    let url = server("STACK_POSTGRES_URL");
    let rest = url.strip_prefix("postgres://").expect("a postgres:// URL");
    let (user, rest) = rest.split_once('@').expect("user@host");
    let (host, database) = rest.split_once('/').expect("host/database");
    let (host, port) = host.split_once(':').expect("host:port");
    let parts = Parts {
        host: host.into(),
        port: port.parse().unwrap(),
        user: user.split(':').next().unwrap().into(),
        password: user
            .split_once(':')
            .map(|(_, password)| runtime::secret::Secret::new(password)),
        database: database.split('?').next().unwrap().into(),
    };
    Postgres::new(Target::from_parts(parts, Tls::default())).unwrap()
}
