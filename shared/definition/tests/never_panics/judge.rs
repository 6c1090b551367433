//! What must hold for any files.

use std::collections::BTreeMap;
use std::path::Path;

use definition::deployment::IndexOptions;

use definition::{
    Catalog, Deployment, Diagnostics, IndexDefinition, LiteralSecrets, Overrides, build_lock,
    compile, definition_hash, load_lock, mapping,
};

use crate::corpus::Case;
use crate::files::{Loaded, Memory, findings};

/// Everything that a deployment says but the places in its files.
pub(crate) fn said(deployment: &Deployment) -> String {
    let indexes: Vec<String> = deployment
        .indexes
        .iter()
        .map(|index| {
            format!(
                "{:?}",
                (
                    (&index.name, &index.schema, index.enabled, index.on_error),
                    (
                        &index.sinks,
                        &index.aliases,
                        &index.overrides,
                        &index.definition
                    ),
                )
            )
        })
        .collect();
    format!(
        "{:?}",
        (
            (
                &deployment.prefix,
                &deployment.source,
                &deployment.broker,
                &deployment.capture
            ),
            (
                &deployment.worker,
                &deployment.sinks,
                &deployment.server,
                &deployment.telemetry
            ),
            indexes,
        )
    )
}

/// Every finding has its place inside its file, and every report can be made.
fn reports(findings: &Diagnostics, files: &[(&str, &str)]) {
    for finding in findings.findings() {
        assert!(!finding.message.is_empty());
        let Some(file) = &finding.file else {
            assert!(finding.place.is_none());
            continue;
        };
        let text = files
            .iter()
            .find(|(name, _)| name == file)
            .map(|(_, text)| *text);
        let (Some(text), Some(place)) = (text, &finding.place) else {
            panic!("{finding:?} has no place in a file of ours")
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        assert!(
            place.span.start <= place.span.end && text.get(place.span.clone()).is_some(),
            "{finding:?} is no place of {} bytes",
            text.len()
        );
        let before = &text[..place.span.start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        assert_eq!((place.line, place.column), (line, column), "{finding:?}");
    }
    let shown = findings
        .findings()
        .len()
        .min(definition::diagnostic::MOST_SHOWN);
    let plain = findings.render_human(false);
    let heads = plain
        .lines()
        .filter(|line| line.starts_with("error[") || line.starts_with("warning["))
        .count();
    assert_eq!(heads, shown, "{plain}");
    let json = findings.to_json();
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(shown));
    assert_eq!(json["ok"], !findings.has_errors());
}

/// A checked definition can go everywhere a definition goes.
fn definition_holds(
    definition: &IndexDefinition,
    files: &[(&str, &str)],
    deployment: &Deployment,
    depth: Depth,
) {
    let json = definition.to_json();
    let read = IndexDefinition::from_json(&json).unwrap();
    assert_eq!(&read, definition);
    for sink in &deployment.sinks {
        for index in &deployment.indexes {
            drop(definition_hash(
                definition,
                &sink.index_options(&index.overrides),
            ));
        }
    }
    let none = Catalog::default();
    drop(mapping::mappings(
        definition,
        &none,
        &IndexOptions::default(),
    ));
    drop(mapping::settings(
        definition,
        &none,
        &IndexOptions::default(),
    ));
    assert!(compile::tables(definition).contains(&definition.root));
    if depth == Depth::Load {
        return;
    }
    let index = &deployment.indexes[0];
    let missing = compile::check(definition, &none).locate(&index.name, &index.spans);
    assert!(missing.has_errors());
    reports(&missing, files);
}

/// How far a case goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Files, definitions, reports.
    Load,
    /// Differences and the lock too.
    Whole,
}

/// Judges what becomes of a case: whether it is right.
pub(crate) fn judge(case: &Case, depth: Depth) -> bool {
    let files = case.files();
    let loaded = case.load();
    reports(findings(&loaded), &files);
    assert_eq!(loaded.is_err(), findings(&loaded).has_errors());
    if let Ok((deployment, _)) = &loaded {
        for index in &deployment.indexes {
            definition_holds(&index.definition, &files, deployment, depth);
        }
    }
    if depth == Depth::Whole {
        assert!(!findings(&loaded).render_human(true).is_empty() || loaded.is_ok());
        other_readers(case, &loaded);
    }
    loaded.is_ok()
}

/// What reads the files besides: differences, and the lock, which says what its files say.
fn other_readers(case: &Case, loaded: &Loaded) {
    let files = case.files();
    let memory = Memory::new(&files);
    let environment = BTreeMap::new();
    let overrides = Overrides::default();
    let explained = definition::differences::explain(&definition::differences::Input {
        config: Path::new("flusso.toml"),
        files: &memory,
        environment: &environment,
        findings: findings(loaded),
        catalog: None,
    });
    drop(definition::differences::render_human(&explained, false));
    let Ok((deployment, _)) = loaded else {
        // Whatever stands in a lock's place is no panic either.
        let lock = Memory::new(&[("flusso.lock", &case.schema)]);
        let read = load_lock(Path::new("flusso.lock"), &lock, &environment, &overrides);
        drop(findings(&read).render_human(false));
        return;
    };
    let path = Path::new("flusso.toml");
    let lock = build_lock(
        path,
        &memory,
        &environment,
        &overrides,
        LiteralSecrets::Written,
    )
    .unwrap();
    let locked = Memory::new(&[("flusso.lock", &lock.text)]);
    let read = load_lock(Path::new("flusso.lock"), &locked, &environment, &overrides);
    match read {
        Ok((again, _)) => assert_eq!(said(&again), said(deployment)),
        Err(findings) => panic!("{findings}\n{}", lock.text),
    }
}
