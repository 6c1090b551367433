//! What the oracle needs of the catalog: columns with their base types, primary keys.
//! In: names of tables, a snapshot. Out: [`Described`] per table, asked in one message for all.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use tokio_postgres::{SimpleQueryMessage, Transaction};

/// A table's name: schema and name, exact.
pub(super) type Name = (String, String);

/// One answer: rows of texts.
pub(super) type Rows = Vec<Vec<Option<String>>>;

/// A type, domains replaced by what they are over.
#[derive(Debug, PartialEq)]
pub(super) struct Type {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Base,
    Enum,
    Array(Rc<Type>),
    /// With its subtype.
    Range(Rc<Type>),
    /// With its range type.
    Multirange(Rc<Type>),
}

impl Type {
    pub(super) fn built_in(name: &str) -> Rc<Self> {
        Rc::new(Self {
            schema: "pg_catalog".to_owned(),
            name: name.to_owned(),
            kind: Kind::Base,
        })
    }

    /// The name of a built-in type; of `citext` too, wherever it was installed.
    pub(super) fn known(&self) -> Option<&str> {
        let is_known = self.schema == "pg_catalog" || self.name == "citext";
        (is_known && self.kind == Kind::Base).then_some(self.name.as_str())
    }

    /// The type of a value: that of an array's elements, else the type itself.
    pub(super) fn of_one(self: &Rc<Self>) -> &Rc<Self> {
        match &self.kind {
            Kind::Array(element) => element,
            _ => self,
        }
    }

    /// The type in SQL, by the name of the catalog: so it has no length modifier (`bpchar`).
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Rc<Type>,
    /// Equal means equal bytes: no collation that says otherwise.
    pub(super) is_bytewise: bool,
    is_domain: bool,
}

impl Column {
    /// The column as an operand, after `prefix`. Some operators do not see through a domain.
    pub(super) fn operand(&self, prefix: &str) -> String {
        let column = format!("{prefix}{}", quoted(&self.name));
        if self.is_domain {
            format!("CAST({column} AS {})", self.kind.sql())
        } else {
            column
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<String>,
}

/// An identifier in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Runs statements and gives the rows of each.
pub(super) async fn ask(snapshot: &Transaction<'_>, statements: &str) -> Result<Vec<Rows>> {
    let mut answers = Vec::new();
    let mut rows = Rows::new();
    for message in snapshot.simple_query(statements).await? {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|at| row.try_get(at).map(|v| v.map(str::to_owned)));
                rows.push(values.collect::<Result<_, _>>()?);
            }
            SimpleQueryMessage::CommandComplete(_) => answers.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    Ok(answers)
}

/// Pins the session as the reference does and describes tables.
pub(super) async fn describe(
    snapshot: &Transaction<'_>,
    names: &[Name],
) -> Result<HashMap<Name, Described>> {
    let wanted: Vec<String> = names
        .iter()
        .map(|(schema, table)| {
            let sql = format!("{}.{}", quoted(schema), quoted(table));
            format!("{}::regclass::oid", literal(&sql))
        })
        .collect();
    let wanted = wanted.join(", ");
    let columns = format!(
        "pg_attribute a WHERE a.attrelid IN ({wanted}) AND a.attnum > 0 AND NOT a.attisdropped"
    );
    let mut answers = ask(
        snapshot,
        &format!(
            "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'iso_8601'; \
             SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL jit = off; \
             SELECT {wanted}; \
             SELECT a.attrelid, a.attnum, a.attname, a.atttypid, \
               (SELECT collisdeterministic FROM pg_collation l WHERE l.oid = a.attcollation) FROM {columns}; \
             SELECT indrelid, indkey, indnkeyatts FROM pg_index WHERE indrelid IN ({wanted}) AND indisprimary; \
             WITH RECURSIVE used(id) AS ( \
               SELECT a.atttypid FROM {columns} UNION SELECT part.id FROM used JOIN pg_type t ON t.oid = used.id \
               LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid) \
               CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem), (r.rngsubtype), (r.rngtypid)) part(id) WHERE part.id <> 0) \
             SELECT t.oid, n.nspname, t.typname, t.typtype, t.typbasetype, \
               CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc AND t.typlen = -1 \
                 AND t.typname NOT IN ('int2vector', 'oidvector') THEN t.typelem ELSE 0 END, r.rngsubtype, r.rngtypid \
             FROM used JOIN pg_type t ON t.oid = used.id JOIN pg_namespace n ON n.oid = t.typnamespace \
             LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid)"
        ),
    )
    .await?;
    let types = answers.pop().context("no types")?.into_iter();
    let types = TypeRows(types.map(|row| (cell(&row, 0).to_owned(), row)).collect());
    let keys = answers.pop().context("no keys")?;
    let columns = answers.pop().context("no columns")?;
    let ids = answers.pop().context("no tables")?;
    let ids = ids.first().context("no tables")?;
    let mut described = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        let table = Described::new(cell(ids, at), &columns, &keys, &types)?;
        ensure!(
            !table.columns.is_empty(),
            "table {}.{} has no columns",
            name.0,
            name.1
        );
        described.insert(name.clone(), table);
    }
    Ok(described)
}

impl Described {
    /// The table with that oid, of the rows about all tables.
    fn new(oid: &str, columns: &Rows, keys: &Rows, types: &TypeRows) -> Result<Self> {
        let mut numbered = BTreeMap::new();
        for row in columns.iter().filter(|row| cell(row, 0) == oid) {
            let column = Column {
                name: cell(row, 2).to_owned(),
                kind: types.resolve(cell(row, 3))?,
                is_bytewise: cell(row, 4) != "f",
                is_domain: types.is_domain(cell(row, 3)),
            };
            numbered.insert(cell(row, 1).parse::<i32>()?, column);
        }
        let mut primary_key = Vec::new();
        if let Some(row) = keys.iter().find(|row| cell(row, 0) == oid) {
            let parts: usize = cell(row, 2).parse()?;
            for number in cell(row, 1).split(' ').take(parts) {
                let column = numbered
                    .get(&number.parse()?)
                    .context("an unknown column")?;
                primary_key.push(column.name.clone());
            }
        }
        Ok(Self {
            columns: numbered.into_values().collect(),
            primary_key,
        })
    }
}

fn cell(row: &[Option<String>], at: usize) -> &str {
    row.get(at)
        .and_then(|value| value.as_deref())
        .unwrap_or_default()
}

/// Rows of `pg_type` by oid.
struct TypeRows(HashMap<String, Vec<Option<String>>>);

impl TypeRows {
    fn is_domain(&self, oid: &str) -> bool {
        self.0.get(oid).is_some_and(|row| cell(row, 3) == "d")
    }

    fn resolve(&self, oid: &str) -> Result<Rc<Type>> {
        let row = self
            .0
            .get(oid)
            .with_context(|| format!("type {oid} is not in the catalog"))?;
        let kind = match (cell(row, 3), cell(row, 5)) {
            ("d", _) => return self.resolve(cell(row, 4)),
            ("e", _) => Kind::Enum,
            ("r", _) => Kind::Range(self.resolve(cell(row, 6))?),
            ("m", _) => Kind::Multirange(self.resolve(cell(row, 7))?),
            (_, "0") => Kind::Base,
            (_, element) => Kind::Array(self.resolve(element)?),
        };
        Ok(Rc::new(Type {
            schema: cell(row, 1).to_owned(),
            name: cell(row, 2).to_owned(),
            kind,
        }))
    }
}
