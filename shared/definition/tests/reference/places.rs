//! Reports (2.1, 10): order, number, and places in files of every make.

use definition::Diagnostics;

use crate::files::{ONE_INDEX, SOURCE, findings, loaded, schema};

/// Line and column of each finding, and the same as the report shows them.
fn places(findings: &Diagnostics) -> Vec<String> {
    let stated: Vec<String> = findings
        .findings()
        .iter()
        .map(|finding| {
            let place = finding.place.as_ref().unwrap();
            format!(
                "{}:{}:{}",
                finding.file.as_deref().unwrap(),
                place.line,
                place.column
            )
        })
        .collect();
    let report = findings.render_human(false);
    let shown: Vec<String> = report
        .lines()
        .filter_map(|line| Some(line.trim_start().strip_prefix("--> ")?.to_owned()))
        .collect();
    assert_eq!(shown, stated, "{report}");
    stated
}

#[test]
fn columns_count_characters_behind_tabs_emoji_and_letters_of_several_bytes() {
    let text = "version: 1\ntable: t\nfields:\n  - { text: äöü, keyword: '🎫', colum: b }\n  - {\ttext: b,\tcolum: c }\n";
    assert_eq!(
        places(findings(&schema(text))),
        ["shows.schema.yml:4:18", "shows.schema.yml:5:16"]
    );
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_move_no_place() {
    let plain = "version: 1\ntable: t\nfields:\n  - { text: a, colum: b }\n";
    let expected = ["shows.schema.yml:4:16"];
    assert_eq!(places(findings(&schema(plain))), expected);
    assert_eq!(
        places(findings(&schema(&plain.replace('\n', "\r\n")))),
        expected
    );
    assert_eq!(
        places(findings(&schema(&format!("\u{feff}{plain}")))),
        expected
    );
    let toml = format!("{SOURCE}slott = 1\n");
    let windows = toml.replace('\n', "\r\n");
    let marked = format!("\u{feff}{toml}");
    for text in [&toml, &windows, &marked] {
        let loaded = loaded(&[("flusso.toml", text)]);
        assert_eq!(places(findings(&loaded)), ["flusso.toml:3:1"], "{text:?}");
    }
    // On the first line the mark is no column either.
    let first = "\u{feff}sink = 1\n[source]\ntype = \"postgres\"\n";
    assert_eq!(
        places(findings(&loaded(&[("flusso.toml", first)]))),
        ["flusso.toml:1:1"]
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing_in_a_right_file() {
    let text = "version: 1\ntable: t\nfields:\n  - { text: a, column: b }\n  - long: id\n";
    let (plain, _) = schema(text).unwrap();
    for other in [text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        let (read, warnings) = schema(&other).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(read.indexes[0].definition, plain.indexes[0].definition);
    }
    for other in [
        ONE_INDEX.replace('\n', "\r\n"),
        format!("\u{feff}{ONE_INDEX}"),
    ] {
        assert!(loaded(&[("flusso.toml", &other), ("shows.schema.yml", text)]).is_ok());
    }
}

#[test]
fn the_last_line_without_an_end_and_an_empty_file_have_places() {
    for (text, place) in [
        ("", "shows.schema.yml:1:1"),
        ("\n\n", "shows.schema.yml:1:1"),
        ("version: 1\ntable: t\nfields: 5", "shows.schema.yml:3:9"),
        ("version: 1\ntable: t\nfields: [", "shows.schema.yml:3:9"),
    ] {
        assert_eq!(places(findings(&schema(text))), [place], "{text:?}");
    }
}

#[test]
fn all_mistakes_of_all_files_come_at_once_by_file_and_position() {
    let toml = "sink = 1\n[source]\ntype = \"postgres\"\nslott = 1\n[[index]]\nname = \"1\"\nschema = \"b.yml\"\n[[index]]\nname = \"x\"\nschema = \"a.yml\"\n[[index]]\nname = \"X\"\nschema = \"c.yml\"\n[[index]]\nname = \"y\"\nschema = \"a.yml\"\n";
    let loaded = loaded(&[
        ("flusso.toml", toml),
        (
            "a.yml",
            "version: 2\ntable: t\nfields:\n  - {long: a, colum: b}\n",
        ),
        ("b.yml", "version: 1\nfields: []\n"),
        ("c.yml", "version: 1\ntable: 't'\nfields: [\n"),
    ]);
    assert_eq!(
        places(findings(&loaded)),
        [
            "a.yml:1:10",
            "a.yml:4:15",
            "b.yml:1:1",
            "c.yml:3:9",
            "flusso.toml:1:1",
            "flusso.toml:4:1",
            "flusso.toml:6:8",
            "flusso.toml:12:8",
        ]
    );
}

#[test]
fn a_report_shows_fifty_findings_and_counts_all() {
    let many: String = (0..60).map(|number| format!("x{number} = 1\n")).collect();
    let text = format!("{many}{SOURCE}");
    let loaded = loaded(&[("flusso.toml", &text)]);
    let report = findings(&loaded).render_human(false);
    assert_eq!(report.matches("error[E101]").count(), 50);
    assert!(report.ends_with("... and 10 more\n\n"), "{report}");
    let json = findings(&loaded).to_json();
    assert_eq!(json["errors"], 60);
    assert_eq!(json["findings"].as_array().unwrap().len(), 50);
}

#[test]
fn the_nearest_allowed_key_is_suggested_up_to_two_edits_and_half_its_length() {
    let label = |key: &str| {
        let text = format!("{SOURCE}[broker]\n{key} = 1\n");
        let loaded = loaded(&[("flusso.toml", &text)]);
        let finding = &findings(&loaded).findings()[0];
        (finding.label.clone(), finding.allowed.len())
    };
    let mean = |word: &str| (Some(format!("did you mean `{word}`?")), 13);
    assert_eq!(label("partition"), mean("partitions"));
    // A swap of neighbours is one edit.
    assert_eq!(label("kakfa"), mean("kafka"));
    assert_eq!(label("kfk"), mean("kafka"));
    // Three edits are another word: the allowed keys remain.
    assert_eq!(label("kaXXX"), (None, 13));
    assert_eq!(label("p"), (None, 13));
}
