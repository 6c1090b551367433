//! Definitions of the own file against a real database.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use capture_svc::own;
use definition::{Deployment, Files, Overrides};

use crate::support::with_database;

const SHOWS: &str = "
CREATE TABLE halls (id int PRIMARY KEY);
CREATE TABLE shows (id int PRIMARY KEY, title text, hall_id int REFERENCES halls);
";

/// `title` may be NULL, and nothing finds the shows of a hall.
const FITS: &str = "\
version: 1
table: shows
fields:
  - { text: title, required: true }
  - belongs_to: hall
    table: halls
    column: hall_id
    fields:
      - { integer: id }
";

struct Written(&'static str);

impl Files for Written {
    fn read(&self, path: &Path) -> io::Result<String> {
        Ok(match path.extension() {
            Some(kind) if kind == "toml" => "\
[source]
type = \"postgres\"
connection_url = \"postgres://localhost/x\"
[broker]
bootstrap_servers = \"localhost:9092\"
[sinks.main]
type = \"opensearch\"
url = \"http://localhost:9200\"
[[index]]
name = \"shows\"
schema = \"shows.schema.yml\"
"
            .to_owned(),
            _ => self.0.to_owned(),
        })
    }
}

fn deployment(schema: &'static str) -> Deployment {
    let path = Path::new("flusso.toml");
    let loaded = definition::load(
        path,
        &Written(schema),
        &BTreeMap::new(),
        &Overrides::default(),
    );
    loaded.unwrap().0
}

#[test]
fn warnings_are_found_with_their_place_and_stop_nothing() {
    with_database(SHOWS, |database| async move {
        // GIVEN
        let client = database.connect().await;
        // WHEN
        let own = own::read(&client, &deployment(FITS).indexes).await.unwrap();
        // THEN
        let found: Vec<_> = own
            .findings
            .findings()
            .iter()
            .map(|finding| {
                let line = finding.place.as_ref().map(|place| place.line);
                (finding.code, line, finding.sql.as_deref())
            })
            .collect();
        let index = "CREATE INDEX CONCURRENTLY ON public.shows (hall_id);";
        assert_eq!(
            found,
            [("W333", Some(4), None), ("W305", Some(7), Some(index))]
        );
        assert!(!own.findings.has_errors());
        assert_eq!(
            own.needs.tables().len(),
            2,
            "the needs are there all the same"
        );
    });
}

#[test]
fn what_does_not_fit_is_said_once_and_the_other_indexes_are_looked_at() {
    with_database(SHOWS, |database| async move {
        // GIVEN
        let client = database.connect().await;
        let mut indexes =
            deployment("version: 1\ntable: shows\nfields:\n  - text: titel\n").indexes;
        indexes.extend(deployment(FITS).indexes);
        // WHEN
        let own = own::read(&client, &indexes).await.unwrap();
        // THEN
        let codes: Vec<_> = own
            .findings
            .findings()
            .iter()
            .map(|found| found.code)
            .collect();
        assert_eq!(codes, ["E302", "W333", "W305"]);
    });
}
