//! Every secret that a service will need, looked for at once.
//! In: the deployment, the environment, which service asks. Out: a finding per secret that is
//! not to be had, at its place in the file.
//! Must not: keep a secret; whoever needs one resolves it again.

use definition::deployment::{self, Authorization, Connection, SinkKind};
use definition::{Deployment, Diagnostic, Diagnostics};

use super::secret;
use crate::Environment;
use crate::secret::Error;

/// Which service asks: each takes its part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// capture-svc: source and broker.
    Capture,
    /// worker-svc: the sinks and the private surface too.
    Worker,
}

/// The secrets of `part` that are not to be had.
#[must_use]
pub fn unresolved(deployment: &Deployment, part: Part, environment: &Environment) -> Diagnostics {
    let mut wanted = of_source_and_broker(deployment);
    if part == Part::Worker {
        of_sinks(deployment, &mut wanted);
        of_server(deployment, &mut wanted);
    }
    let mut findings = Diagnostics::new();
    for (key, wanted) in wanted {
        if let Err(error) = secret(&key, wanted, environment) {
            findings.push(finding(&error, key));
        }
    }
    let mut findings = findings.locate_in_config(&deployment.places);
    findings.sort();
    findings
}

/// What a person is told about a secret that is not to be had; `key` is where it is asked for.
fn finding(error: &Error, key: String) -> Diagnostic {
    Diagnostic::error(error.code(), error.to_string())
        .help(error.help())
        .key(key)
}

type Wanted<'a> = Vec<(String, &'a deployment::Secret)>;

fn of_source_and_broker(deployment: &Deployment) -> Wanted<'_> {
    let mut wanted = Vec::new();
    match &deployment.source.connection {
        Connection::Url(url) => wanted.push(("source.connection_url".to_owned(), url)),
        Connection::Parts { password, .. } => wanted.extend(
            password
                .iter()
                .map(|password| ("source.connection_url.password".to_owned(), password)),
        ),
    }
    for property in &deployment.broker.kafka {
        wanted.push((format!("broker.kafka.{}", property.name), &property.value));
    }
    wanted
}

fn of_sinks<'a>(deployment: &'a Deployment, wanted: &mut Wanted<'a>) {
    for sink in &deployment.sinks {
        let SinkKind::OpenSearch(open_search) = &sink.kind else {
            continue;
        };
        let mut add = |key: &str, secret: &'a deployment::Secret| {
            wanted.push((format!("sinks.{}.{key}", sink.name), secret));
        };
        for url in &open_search.urls {
            add("url", url);
        }
        match &open_search.authorization {
            Authorization::None => {}
            Authorization::Basic { username, password } => {
                add("username", username);
                if let Some(password) = password {
                    add("password", password);
                }
            }
            Authorization::ApiKey(key) => add("api_key", key),
            Authorization::Bearer(token) => add("bearer_token", token),
        }
        for (header, value) in &open_search.headers {
            add(&format!("headers.{header}"), value);
        }
    }
}

fn of_server<'a>(deployment: &'a Deployment, wanted: &mut Wanted<'a>) {
    let server = &deployment.server;
    let named = [
        ("admin_user", Some(&server.admin_user)),
        ("admin_password", server.admin_password.as_ref()),
        ("admin_token", server.admin_token.as_ref()),
    ];
    for (key, secret) in named {
        wanted.extend(secret.map(|secret| (format!("server.{key}"), secret)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;
    use std::path::Path;

    use definition::{Files, Overrides, load};

    use super::*;

    const FILE: &str = "\
[source]
type = \"postgres\"
connection_url = { env = \"SHOP_DB\" }
[broker]
kafka = { \"sasl.password\" = { env = \"KAFKA\" } }
[sinks.Main]
type = \"opensearch\"
url = \"http://h\"
api_key = { file = \"/nowhere/key\" }
";

    struct One;

    impl Files for One {
        fn read(&self, _path: &Path) -> io::Result<String> {
            Ok(FILE.to_owned())
        }
    }

    fn deployment() -> Deployment {
        let none = BTreeMap::new();
        let loaded = load(Path::new("flusso.toml"), &One, &none, &Overrides::default());
        loaded.map(|(deployment, _)| deployment).unwrap()
    }

    #[test]
    fn every_secret_that_is_not_to_be_had_is_reported_at_its_place() {
        let environment = Environment::from([("KAFKA".into(), String::new())]);
        let findings = unresolved(&deployment(), Part::Worker, &environment);
        let text = findings.render_human(false);
        let expected = "\
error[E104]: source.connection_url: environment variable SHOP_DB is not set
 --> flusso.toml:3:18
  |
3 | connection_url = { env = \"SHOP_DB\" }
  |                  ^^^^^^^^^^^^^^^^^^^
  = help: set it, or give { file = … } or a literal

error[E104]: broker.kafka.sasl.password: environment variable KAFKA is empty
 --> flusso.toml:5:29
  |
5 | kafka = { \"sasl.password\" = { env = \"KAFKA\" } }
  |                             ^^^^^^^^^^^^^^^^^
  = help: set it, or give { file = … } or a literal

error[E105]: sinks.main.api_key: cannot read /nowhere/key: no such file
 --> flusso.toml:9:11
  |
9 | api_key = { file = \"/nowhere/key\" }
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: paths start at the directory of flusso.toml

";
        assert_eq!(text, expected);
    }

    #[test]
    fn capture_does_not_ask_for_the_secrets_of_sinks() {
        let environment = Environment::from([
            ("KAFKA".into(), "k".into()),
            ("SHOP_DB".into(), "postgres://h".into()),
        ]);
        assert!(unresolved(&deployment(), Part::Capture, &environment).is_empty());
        let worker = unresolved(&deployment(), Part::Worker, &environment);
        assert_eq!(worker.errors(), 1);
    }
}
