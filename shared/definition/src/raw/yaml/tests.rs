use std::fmt::Write as _;

use super::*;

fn get<'n>(node: &'n Node, key: &str) -> &'n Node {
    let RawValue::Map(entries) = &node.value else {
        panic!("not a map: {node:?}")
    };
    &entries.iter().find(|entry| entry.key == key).unwrap().value
}

fn integer(node: &Node) -> i128 {
    match node.number().map(|number| number.value) {
        Some(NumberValue::Integer(value)) => value,
        Some(NumberValue::Float(_)) | None => panic!("not an integer: {node:?}"),
    }
}

fn text(node: &Node) -> &str {
    node.text().unwrap_or_else(|| panic!("not text: {node:?}"))
}

#[test]
fn scalars_are_read_by_the_core_schema() {
    let tree = parse(
        "a: no\nb: true\nc: 0x1F\nd: 0o17\ne: 017\nf: 1_000\ng: ~\nh: 10.50\ni: '1'\nj: .5\nk: 2026-01-01\nl: +3",
    )
    .unwrap();
    assert_eq!(text(get(&tree, "a")), "no");
    assert_eq!(get(&tree, "b").value, RawValue::Bool(true));
    assert_eq!(integer(get(&tree, "c")), 31);
    assert_eq!(integer(get(&tree, "d")), 15);
    assert_eq!(integer(get(&tree, "e")), 17);
    assert_eq!(text(get(&tree, "f")), "1_000");
    assert_eq!(get(&tree, "g").value, RawValue::Null);
    assert_eq!(
        get(&tree, "h").value,
        RawValue::Number(Number {
            written: "10.50".to_owned(),
            value: NumberValue::Float(10.5)
        })
    );
    assert_eq!(text(get(&tree, "i")), "1");
    assert_eq!(get(&tree, "j").kind(), "a number");
    assert_eq!(text(get(&tree, "k")), "2026-01-01");
    assert_eq!(integer(get(&tree, "l")), 3);
}

#[test]
fn what_the_language_lacks_is_refused_with_its_place() {
    for (file, message, at) in [
        ("a: 1\na: 2", "the key `a` stands here twice", 5),
        (
            "a: &x {b: 1}\nc:\n  <<: *x",
            "merge keys are not allowed",
            18,
        ),
        ("a: !!str 1", "tags are not allowed", 9),
        ("a: &x [*x]", "an anchor cannot hold itself", 7),
        ("a: 1\n---\nb: 2", "a file holds one document", 5),
        ("? [a]\n: 1", "a key must be text", 2),
    ] {
        let error = parse(file).unwrap_err();
        assert_eq!(error.message, message, "{file}");
        assert_eq!(error.span.unwrap().start, at, "{file}");
    }
}

#[test]
fn anchors_repeat_their_node() {
    let tree = parse("a: &x [1, 2]\nb: *x").unwrap();
    assert_eq!(get(&tree, "a").value, get(&tree, "b").value);
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut file = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 9].join(", ");
        writeln!(file, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert_eq!(
        parse(&file).unwrap_err().message,
        "aliases make this file too large"
    );
}

#[test]
fn a_tower_of_aliases_is_refused() {
    let mut file = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        let before = level - 1;
        writeln!(file, "a{level}: &a{level} [*a{before}]").unwrap();
    }
    assert_eq!(parse(&file).unwrap_err().message, "nested too deeply");
}

#[test]
fn spans_are_byte_ranges_of_the_text() {
    let file = "ä: 1\nkey:   'value'  # comment\nlist:\n  - one\n  - two\n\nlast: 1\n";
    let tree = parse(file).unwrap();
    assert_eq!(file.get(get(&tree, "key").span.clone()), Some("'value'"));
    assert_eq!(
        file.get(get(&tree, "list").span.clone()),
        Some("- one\n  - two")
    );
}
