//! Comparison: what is missing, extra and stale, and what makes two documents equal.

use anyhow::{Result, ensure};
use integration::oracle::{Documents, Json, compare_documents};

fn documents(texts: &[(&str, &str)]) -> Result<Documents> {
    let parsed = texts
        .iter()
        .map(|(id, text)| Ok(((*id).to_owned(), Json::parse(text)?)));
    parsed.collect()
}

#[test]
fn each_difference_is_found_and_shown_by_its_path() -> Result<()> {
    // GIVEN one document that is right, one missing, one extra, one stale in two places
    let truth = documents(&[
        ("1", "{}"),
        ("2", "{}"),
        ("3", r#"{"a": [1, {"b": 10.50}], "c": null}"#),
    ])?;
    let found = documents(&[
        ("1", " {\n} "),
        ("3", r#"{"a": [1, {"b": 10.5}], "c": []}"#),
        ("4", "{}"),
    ])?;
    // WHEN they are compared
    let comparison = compare_documents(&truth, &found);
    // THEN each is named
    ensure!(!comparison.is_equal());
    ensure!(
        comparison.missing == ["2"] && comparison.extra == ["4"],
        "{comparison}"
    );
    let shown = comparison.to_string();
    for line in [
        ".a[1].b",
        "expected 10.50",
        "found    10.5\n",
        ".c",
        "found    []",
    ] {
        ensure!(shown.contains(line), "no {line:?} in {shown}");
    }
    Ok(())
}

#[test]
fn numbers_are_equal_by_their_digits_and_computed_ones_by_their_value() -> Result<()> {
    let number = |text: &str| Json::Number(text.to_owned());
    let near = Json::Near {
        value: 0.3,
        within: 1e-9,
    };
    ensure!(number("9007199254740993").fits(&Json::parse("9007199254740993")?));
    ensure!(!number("9007199254740993").fits(&Json::parse("9007199254740992")?));
    ensure!(!number("10").fits(&Json::parse("10.0")?));
    ensure!(near.fits(&Json::parse("0.30000000000000004")?));
    ensure!(!near.fits(&Json::parse("0.30001")?) && !near.fits(&Json::Null));
    Ok(())
}

#[test]
fn any_json_text_is_read_and_nothing_else() -> Result<()> {
    let cases = [
        (
            r#""\u00e9\ud83d\ude00\/\b""#,
            Json::String("é😀/\u{8}".to_owned()),
        ),
        // Halves of a pair stay apart from each other and from what follows.
        (
            r#""\ud83dx\ude00""#,
            Json::String("\\ud83dx\\ude00".to_owned()),
        ),
        (
            "[-0, 1E+2]",
            Json::Array(vec![
                Json::Number("-0".to_owned()),
                Json::Number("1E+2".to_owned()),
            ]),
        ),
    ];
    for (text, expected) in cases {
        let read = Json::parse(text)?;
        ensure!(read == expected, "{text}: {read}");
    }
    for text in [
        "",
        "{",
        "[1 2]",
        "{\"a\" 1}",
        "nul",
        "\"a",
        "1 2",
        "{a: 1}",
        "[1,]",
        "\"\n\"",
    ] {
        ensure!(Json::parse(text).is_err(), "{text:?} was read");
    }
    Ok(())
}
