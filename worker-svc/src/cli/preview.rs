//! `preview`: a document on standard output; or `null`, and the reason on standard error.

use std::io;

use definition::diagnostic::nearest;
use definition::{Deployment, Index};
use runtime::cli::{Exit, complain, print};

use super::{Invocation, PreviewFlags, failed, refused, say};
use crate::error::{Definite, Transient};
use crate::preview::{NoId, Preview, Reason, Trace, preview as look};

pub(super) async fn preview(invocation: &Invocation, flags: &PreviewFlags) -> Exit {
    let config = match invocation.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let deployment = &config.deployment;
    let Some(index) = index_of(deployment, &flags.index) else {
        return Exit::Usage;
    };
    let postgres = match runtime::configured::postgres(&deployment.source, &config.environment) {
        Ok((postgres, _ignored)) => postgres,
        Err(error) => return refused(&Definite::Setup(error.to_string())),
    };
    let session = match postgres.connect("worker-svc preview").await {
        Ok(session) => session,
        Err(error) => {
            return failed(&Transient::Postgres {
                doing: "connecting",
                source: Box::new(error),
            });
        }
    };
    let timeout = deployment.worker.statement_timeout;
    match look(&session, &index.definition, &flags.id, timeout).await {
        Ok(Ok(Ok((preview, trace)))) => {
            if flags.sql {
                show(&trace);
            }
            conclude(&preview, index, &flags.id)
        }
        Ok(Ok(Err(wrong))) => {
            wrong_id(&wrong, index, &flags.id);
            Exit::Usage
        }
        Ok(Err(definite)) => refused(&definite),
        Err(transient) => failed(&transient),
    }
}

/// The index of that name; else a person is told which there are.
fn index_of<'d>(deployment: &'d Deployment, name: &str) -> Option<&'d Index> {
    let found = deployment.index(&name.trim().to_ascii_lowercase());
    if found.is_none() {
        let file = deployment.places.file();
        complain(&io::Error::other(format!(
            "there is no index {name} in {file}"
        )));
        let names = || deployment.indexes.iter().map(|index| index.name.as_str());
        match nearest(name, names()) {
            Some(near) => say(&format!("help: did you mean {near}?")),
            None if deployment.indexes.is_empty() => say("help: it has no index"),
            None => say(&format!(
                "help: its indexes: {}",
                names().collect::<Vec<_>>().join(", ")
            )),
        }
    }
    found
}

fn conclude(preview: &Preview, index: &Index, asked: &str) -> Exit {
    match preview {
        Preview::Document { id, json } => {
            if id != asked {
                say(&format!("the id of this document is {id}"));
            }
            print(json);
        }
        Preview::None(reason) => {
            print("null");
            say(&in_words(reason, index, asked));
        }
    }
    Exit::Done
}

fn in_words(reason: &Reason, index: &Index, asked: &str) -> String {
    let root = &index.definition.root;
    match reason {
        Reason::NoRow => format!("no document: {root} has no row with the key {asked}"),
        Reason::Deleted(column) => {
            let when = index
                .definition
                .soft_delete
                .as_ref()
                .is_some_and(|delete| !delete.when.is_empty());
            let when = if when { ", and `when` is true" } else { "" };
            format!("no document: the row of {root} counts as deleted: {column} is set{when}")
        }
        Reason::Outside(filters) => format!(
            "no document: the row of {root} is outside the filters of the index: {}",
            filters.join("; ")
        ),
    }
}

fn wrong_id(wrong: &NoId, index: &Index, asked: &str) {
    complain(&io::Error::other(format!(
        "{asked} is no id of {}: {wrong}",
        index.name
    )));
    let help = match wrong {
        NoId::Parts { .. } | NoId::Escape => {
            r"the parts of a key are joined by `:`; inside a part, `:` is written `\:` and `\` is `\\`"
        }
        NoId::Value(_) => "an id is the key's text as Postgres writes it",
    };
    say(&format!("help: {help}"));
}

fn show(trace: &Trace) {
    if trace.statement.is_empty() {
        return say("-- no statement was run: no row has this digest");
    }
    say(&trace.statement);
    for (at, values) in trace.parameters.iter().enumerate() {
        say(&format!("-- ${} = {values:?}", at.saturating_add(1)));
    }
    say(&format!("-- {:.1} ms", trace.took.as_secs_f64() * 1000.0));
}
