//! The package archive that a Debian machine carries, as rows.
//! In: what `apt-cache dumpavail` prints. Out: the tables of `datasets/debian/tables.sql`, filled.

use std::collections::HashMap;
use std::fmt;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::Client;

/// Relations between packages that are loaded.
const KINDS: [&str; 7] = [
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Enhances",
    "Breaks",
    "Conflicts",
];

/// One paragraph: field → text, continuation lines joined.
type Paragraph = HashMap<String, String>;

/// The rows of every table, in `COPY` text form.
#[derive(Default)]
pub struct Archive {
    packages: Copy,
    dependencies: Copy,
    package_tags: Copy,
    sections: Numbered,
    maintainers: Numbered,
    tags: Numbered,
}

impl Archive {
    /// Reads a listing.
    ///
    /// # Errors
    /// When it cannot be read, or a paragraph lacks what every package has.
    pub fn read(listing: impl BufRead) -> Result<Self> {
        let mut archive = Self::default();
        let mut paragraph = Paragraph::new();
        let mut last = String::new();
        for line in listing.lines() {
            let line = line?;
            if line.is_empty() {
                archive.take(&paragraph)?;
                paragraph.clear();
            } else if let Some(more) = line.strip_prefix(' ') {
                let text: &mut String = paragraph.entry(last.clone()).or_default();
                text.push('\n');
                text.push_str(more);
            } else if let Some((name, text)) = line.split_once(':') {
                name.clone_into(&mut last);
                paragraph.insert(last.clone(), text.trim().to_owned());
            }
        }
        archive.take(&paragraph)?;
        ensure!(archive.packages.rows > 0, "the listing has no package");
        Ok(archive)
    }

    fn take(&mut self, paragraph: &Paragraph) -> Result<()> {
        let Some(name) = paragraph.get("Package") else {
            return Ok(());
        };
        let must = |field: &str| {
            paragraph
                .get(field)
                .map(String::as_str)
                .with_context(|| format!("{name} has no {field}"))
        };
        let may = |field: &str| paragraph.get(field).map(String::as_str);
        let id = self.packages.rows + 1;
        let full = must("Section")?;
        let (area, _) = full.split_once('/').unwrap_or(("main", full));
        let section = self.sections.id(full, &[Some(full), Some(area)]);
        let maintainer = must("Maintainer")?;
        let (person, email) = maintainer.split_once('<').unwrap_or((maintainer, ""));
        let maintainer = self.maintainers.id(
            maintainer,
            &[Some(person.trim()), Some(email.trim_end_matches('>'))],
        );
        self.packages.row(&[
            Some(&id.to_string()),
            Some(name),
            Some(must("Version")?),
            Some(must("Architecture")?),
            Some(must("Priority")?),
            Some(if may("Essential") == Some("yes") {
                "t"
            } else {
                "f"
            }),
            may("Installed-Size"),
            may("Size"),
            may("Homepage"),
            may("Source"),
            Some(must("Description")?),
            Some(&section.to_string()),
            Some(&maintainer.to_string()),
        ]);
        for kind in KINDS {
            self.relations(id, kind, may(kind).unwrap_or_default());
        }
        let mut seen = std::collections::HashSet::new();
        for tag in may("Tag")
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
        {
            let (facet, rest) = tag.split_once("::").unwrap_or(("", tag));
            let tag_id = self.tags.id(tag, &[Some(facet), Some(rest)]);
            if seen.insert(tag_id) {
                self.package_tags
                    .row(&[Some(&id.to_string()), Some(&tag_id.to_string())]);
            }
        }
        Ok(())
    }

    /// `a (>= 1) | b, c`: positions by comma, alternatives by bar.
    fn relations(&mut self, package: u64, kind: &str, text: &str) {
        for (position, relation) in text
            .split(',')
            .map(str::trim)
            .filter(|relation| !relation.is_empty())
            .enumerate()
        {
            for (alternative, target) in relation.split('|').map(str::trim).enumerate() {
                let (name, condition) = match target.split_once('(') {
                    Some((name, condition)) => {
                        (name.trim(), Some(condition.trim_end_matches(')').trim()))
                    }
                    None => (target, None),
                };
                self.dependencies.row(&[
                    Some(&package.to_string()),
                    Some(kind),
                    Some(&position.to_string()),
                    Some(&alternative.to_string()),
                    Some(name),
                    condition,
                ]);
            }
        }
    }
}

/// Rows in `COPY` text form.
#[derive(Default)]
struct Copy {
    text: Vec<u8>,
    rows: u64,
}

impl Copy {
    fn row(&mut self, values: &[Option<&str>]) {
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.text.push(b'\t');
            }
            match value {
                None => self.text.extend_from_slice(b"\\N"),
                Some(value) => {
                    for byte in value.bytes() {
                        match byte {
                            b'\\' => self.text.extend_from_slice(b"\\\\"),
                            b'\t' => self.text.extend_from_slice(b"\\t"),
                            b'\n' => self.text.extend_from_slice(b"\\n"),
                            b'\r' => self.text.extend_from_slice(b"\\r"),
                            byte => self.text.push(byte),
                        }
                    }
                }
            }
        }
        self.text.push(b'\n');
        self.rows += 1;
    }
}

/// Rows that get a number when they are first seen.
#[derive(Default)]
struct Numbered {
    ids: HashMap<String, u64>,
    copy: Copy,
}

impl Numbered {
    fn id(&mut self, key: &str, values: &[Option<&str>]) -> u64 {
        if let Some(id) = self.ids.get(key) {
            return *id;
        }
        let id = self.copy.rows + 1;
        self.ids.insert(key.to_owned(), id);
        let number = id.to_string();
        let mut row = vec![Some(number.as_str())];
        row.extend_from_slice(values);
        self.copy.row(&row);
        id
    }
}

/// How many rows were loaded, per table.
pub struct Counts(Vec<(&'static str, u64)>);

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(table, rows)| format!("{rows} {table}"))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

/// Makes the tables in an empty database and fills them. `sql` is the folder of the SQL files.
///
/// # Errors
/// When a file cannot be read or a statement fails.
pub async fn load(archive: &Archive, sql: &Path, database: &mut Client) -> Result<Counts> {
    let file = |name: &str| {
        std::fs::read_to_string(sql.join(name)).with_context(|| format!("{}/{name}", sql.display()))
    };
    let transaction = database.transaction().await?;
    transaction.batch_execute(&file("tables.sql")?).await?;
    let tables = [
        ("sections", &archive.sections.copy),
        ("maintainers", &archive.maintainers.copy),
        ("tags", &archive.tags.copy),
        ("packages", &archive.packages),
        ("dependencies", &archive.dependencies),
        ("package_tags", &archive.package_tags),
    ];
    for (table, copy) in tables {
        let mut sink = std::pin::pin!(
            transaction
                .copy_in::<_, Bytes>(&format!("COPY {table} FROM STDIN"))
                .await?
        );
        sink.send(Bytes::copy_from_slice(&copy.text)).await?;
        let rows = sink
            .finish()
            .await
            .with_context(|| format!("loading {table}"))?;
        ensure!(rows == copy.rows, "{table}: {rows} rows of {}", copy.rows);
    }
    transaction.commit().await?;
    database.batch_execute(&file("indexes.sql")?).await?;
    Ok(Counts(
        tables
            .iter()
            .map(|(table, copy)| (*table, copy.rows))
            .collect(),
    ))
}
