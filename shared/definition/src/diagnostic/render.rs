//! Findings as text for people, in the manner of rustc.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, MOST_SHOWN, Severity};

/// Renders up to [`MOST_SHOWN`] findings, and says how many there are besides.
pub(super) fn render(
    findings: &[Diagnostic],
    sources: &BTreeMap<String, String>,
    colour: bool,
) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
    .decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for finding in findings.iter().take(MOST_SHOWN) {
        let group = group(finding, sources);
        push_closed_up(&mut text, &renderer.render(&[group]));
        text.push('\n');
    }
    if let Some(more) = findings.len().checked_sub(MOST_SHOWN).filter(|n| *n > 0) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "... and {more} more\n");
    }
    text
}

/// Adds `rendered` without the empty margin line between the mark and the notes.
fn push_closed_up(text: &mut String, rendered: &str) {
    let mut lines = rendered.lines().peekable();
    while let Some(line) = lines.next() {
        let before_note = lines
            .peek()
            .is_some_and(|next| without_colour(next).trim_start().starts_with("= "));
        if before_note && without_colour(line).trim() == "|" {
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
}

/// A line without the escape sequences of colours.
fn without_colour(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain
}

fn group<'a>(finding: &'a Diagnostic, sources: &'a BTreeMap<String, String>) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(finding.message.as_str())
        .id(finding.code)
        .elements(Vec::<Origin<'_>>::new());
    let mut shown = false;
    if let Some(file) = &finding.file {
        let source = sources.get(file);
        if let (Some(source), Some(place)) = (source, &finding.place) {
            let end = place.span.end.min(source.len());
            let start = place.span.start.min(end);
            if source.is_char_boundary(start) && source.is_char_boundary(end) {
                let label = finding.label.as_deref();
                group = group.element(
                    Snippet::source(source.as_str())
                        .path(file.as_str())
                        .annotation(AnnotationKind::Primary.span(start..end).label(label)),
                );
                shown = true;
            }
        }
        if !shown {
            let mut origin = Origin::path(file.as_str());
            if let Some(place) = &finding.place {
                origin = origin.line(place.line).char_column(place.column);
            }
            group = group.element(origin);
        }
    }
    if !shown && let Some(label) = &finding.label {
        group = group.element(Level::HELP.message(label.as_str()));
    }
    if !finding.allowed.is_empty() {
        let allowed = format!("allowed here: {}", finding.allowed.join(", "));
        group = group.element(Level::NOTE.no_name().message(allowed));
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let is_said = |sql: &str| {
        finding
            .help
            .as_deref()
            .is_some_and(|help| help.contains(sql))
    };
    if let Some(sql) = finding.sql.as_ref().filter(|sql| !is_said(sql)) {
        group = group.element(Level::NOTE.with_name("sql").message(sql.as_str()));
    }
    group
}
