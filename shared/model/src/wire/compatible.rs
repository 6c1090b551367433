//! Whether records of one schema can be read by the types of another.
//! Narrower than Avro's own resolution, because records are read straight
//! into the types with the writer's schema: fields go by name, branches of a
//! union by place, and types are never converted. So fields come with a
//! default and go only if they have one, symbols and branches are appended.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema, UnionSchema};

type Names<'s> = HashMap<&'s Name, &'s Schema>;

/// Checks that what `writer` writes can be read by the types of `reader`.
///
/// Branches that only the writer has are let pass: the records that use them
/// fail one by one, the others stay readable.
///
/// # Errors
/// Where the two part, in words.
pub fn check_readable(writer: &Schema, reader: &Schema) -> Result<(), String> {
    let (mut of_writer, mut of_reader) = (Names::new(), Names::new());
    collect(writer, &mut of_writer);
    collect(reader, &mut of_reader);
    Pair {
        of_writer,
        of_reader,
    }
    .check(writer, reader)
}

/// The named types of both sides, for references.
struct Pair<'s> {
    of_writer: Names<'s>,
    of_reader: Names<'s>,
}

impl<'s> Pair<'s> {
    fn check(&self, writer: &'s Schema, reader: &'s Schema) -> Result<(), String> {
        match (
            resolve(writer, &self.of_writer)?,
            resolve(reader, &self.of_reader)?,
        ) {
            (Schema::Record(writer), Schema::Record(reader)) => self.check_record(writer, reader),
            (Schema::Union(writer), Schema::Union(reader)) => self.check_union(writer, reader),
            (Schema::Array(writer), Schema::Array(reader)) => {
                self.check(&writer.items, &reader.items)
            }
            (Schema::Map(writer), Schema::Map(reader)) => self.check(&writer.types, &reader.types),
            (Schema::Enum(writer), Schema::Enum(reader)) => {
                let unknown = writer.symbols.iter().find(|s| !reader.symbols.contains(s));
                match (unknown, &reader.default) {
                    (Some(symbol), None) => {
                        Err(format!("{} has the unknown symbol {symbol}", writer.name))
                    }
                    _ => Ok(()),
                }
            }
            (Schema::Null, Schema::Null)
            | (Schema::Boolean, Schema::Boolean)
            | (Schema::Int, Schema::Int)
            | (Schema::Long, Schema::Long)
            | (Schema::String, Schema::String) => Ok(()),
            _ => Err("the types differ".to_owned()),
        }
    }

    fn check_record(
        &self,
        writer: &'s RecordSchema,
        reader: &'s RecordSchema,
    ) -> Result<(), String> {
        if writer.name.name() != reader.name.name() {
            return Err(format!(
                "{} stands where {} is expected",
                writer.name, reader.name
            ));
        }
        for field in &reader.fields {
            let at = |problem| format!("{}.{}: {problem}", reader.name.name(), field.name);
            match writer.fields.iter().find(|other| other.name == field.name) {
                Some(other) => self.check(&other.schema, &field.schema).map_err(at)?,
                None if field.default.is_none() => {
                    return Err(at("missing, and it has no default".to_owned()));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn check_union(&self, writer: &'s UnionSchema, reader: &'s UnionSchema) -> Result<(), String> {
        let (writer, reader) = (writer.variants(), reader.variants());
        if (writer.len() == 2 || reader.len() == 2) && writer.len() != reader.len() {
            // An optional value is read as one; a third branch has no place in it.
            if writer.contains(&Schema::Null) || reader.contains(&Schema::Null) {
                return Err("an optional value has more than one branch".to_owned());
            }
        }
        for (place, branch) in writer.iter().enumerate() {
            if let Some(expected) = reader.get(place) {
                self.check(branch, expected)?;
            }
        }
        Ok(())
    }
}

fn resolve<'s>(schema: &'s Schema, names: &Names<'s>) -> Result<&'s Schema, String> {
    let Schema::Ref { name } = schema else {
        return Ok(schema);
    };
    let defined = names.get(name).copied();
    defined.ok_or_else(|| format!("{name} is not defined"))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other kinds of schemas hold no further ones"
)]
fn collect<'s>(schema: &'s Schema, names: &mut Names<'s>) {
    match schema {
        Schema::Record(record) => {
            names.insert(&record.name, schema);
            record
                .fields
                .iter()
                .for_each(|field| collect(&field.schema, names));
        }
        Schema::Enum(symbols) => {
            names.insert(&symbols.name, schema);
        }
        Schema::Array(array) => collect(&array.items, names),
        Schema::Map(map) => collect(&map.types, names),
        Schema::Union(union) => union
            .variants()
            .iter()
            .for_each(|branch| collect(branch, names)),
        _ => {}
    }
}
