//! The files of a case, loaded as the services load them.
//! In: the texts of schema files. Out: a checked [`Deployment`], or the findings as people see them.
//! Must not: touch the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use definition::{Deployment, Files, Overrides};

/// A schema file.
pub(super) type SchemaFile<'a> = (&'a str, &'a str);

/// No variable is set.
pub(super) fn environment() -> BTreeMap<String, String> {
    BTreeMap::new()
}

struct InMemory(BTreeMap<String, String>);

impl Files for InMemory {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0
            .get(&path.display().to_string())
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Loads schema files (name of the index, text) with a `flusso.toml` around them.
///
/// # Errors
/// What the product says of them.
pub(super) fn load(
    name: &str,
    url: &str,
    schemas: &[SchemaFile<'_>],
) -> Result<Deployment, String> {
    let mut toml = format!(
        "[source]\ntype = \"postgres\"\nconnection_url = \"{url}\"\nslot = \"{name}\"\npublication = \"{name}\"\n"
    );
    let mut files = BTreeMap::new();
    for (index, text) in schemas {
        let more = format!("\n[[index]]\nname = \"{index}\"\nschema = \"{index}.schema.yml\"\n");
        toml.push_str(&more);
        files.insert(format!("{index}.schema.yml"), (*text).to_owned());
    }
    files.insert("flusso.toml".to_owned(), toml);
    let loaded = definition::load(
        Path::new("flusso.toml"),
        &InMemory(files),
        &environment(),
        &Overrides::default(),
    );
    match loaded {
        Ok((deployment, _warnings)) => Ok(deployment),
        Err(findings) => Err(findings.render_human(false)),
    }
}
