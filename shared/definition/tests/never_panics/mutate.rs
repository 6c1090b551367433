//! Wrong files out of right ones: by characters, by words, by lines, by depth.

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::corpus::Case;

/// Characters that parsers stumble over.
const ODD: [char; 30] = [
    '\0',
    '\t',
    '\r',
    '\n',
    ' ',
    '\u{a0}',
    '\u{feff}',
    '\u{2028}',
    '\u{85}',
    '\u{7f}',
    '\u{1b}',
    'é',
    'ß',
    '日',
    '🎫',
    '\u{301}',
    '\u{202e}',
    '\u{10ffff}',
    '"',
    '\'',
    '\\',
    '#',
    ':',
    '-',
    '&',
    '*',
    '%',
    '[',
    '{',
    '|',
];

/// Words of both formats and of the language, and values that are hard to read.
const WORDS: [&str; 119] = [
    "true",
    "false",
    "no",
    "null",
    "~",
    "",
    "0",
    "-1",
    "+7",
    "007",
    "1e400",
    "-1e-400",
    ".inf",
    "-.inf",
    ".nan",
    "nan",
    "inf",
    "0x",
    "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
    "0o8",
    "0b1",
    "9223372036854775808",
    "-9223372036854775809",
    "170141183460469231731687303715884105728",
    "99999999999999999999999999999999999999999999999999",
    "1.5",
    "1_000",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "{}",
    "[]",
    "[[]]",
    "{ a: 1 }",
    "{ a = 1 }",
    "{ env = \"X\" }",
    "{ file = \"x\" }",
    "\"\"",
    "''",
    "\"\\u0000\"",
    "\"\\uD800\"",
    "\"a\\tb\"",
    "'\"a\"\"b\"'",
    "'\"\"'",
    "\"\"\"",
    "'''",
    "&a",
    "*a",
    "*nope",
    "!!str",
    "!x",
    "<<",
    "<<: *live",
    "? ",
    "- ",
    ": ",
    ", ",
    "|",
    ">",
    "|2-",
    "---",
    "...",
    "%YAML 1.1",
    "%TAG ! a",
    "#",
    "=",
    ".",
    "[",
    "]",
    "{",
    "}",
    "[[index]]",
    "[source]",
    "[broker.kafka]",
    "[sinks.a]",
    "10 gigs",
    "\"10GiB\"",
    "\"7d\"",
    "\"99999999999d\"",
    "\"18446744073709551615GiB\"",
    "postgres://u:p@h/d",
    "\"postgres://%00@h\"",
    "\"postgres://[::1\"",
    "a.b",
    "a.b.c",
    "\"a.b\"",
    "_id",
    "_meta",
    "version",
    "table",
    "fields",
    "fields: []",
    "column",
    "columns",
    "filters",
    "op",
    "eq",
    "in",
    "between",
    "value",
    "through",
    "left_key",
    "primary_key",
    "limit",
    "order_by",
    "options",
    "type",
    "properties",
    "ignore_above",
    "variants",
    "transforms",
    "default",
    "postgres",
    "opensearch",
    "belongs_to",
    "has_many",
    "many_to_many",
    "ids",
    "constant",
    "soft_delete",
];

/// Most bytes of a mutated file.
const LARGEST: usize = 40_000;

/// A wrong (or still right) case.
pub(crate) fn mutated(rng: &mut StdRng, corpus: &[Case]) -> Case {
    // Small cases more often: they are quicker, and a mutation matters more.
    let most = if rng.random_bool(0.9) {
        3.min(corpus.len())
    } else {
        corpus.len()
    };
    let mut case = corpus[rng.random_range(0..most)].clone();
    if case.schema.len() > 1000 && rng.random_bool(0.7) {
        case.schema = fewer_fields(rng, &case.schema);
    }
    let other = &corpus[rng.random_range(0..corpus.len())];
    // One mistake mostly: a second one can hide what the first would do.
    let count = if rng.random_bool(0.7) {
        1
    } else {
        rng.random_range(2..=5)
    };
    for _ in 0..count {
        if rng.random_bool(0.6) {
            case.schema = one(rng, &case.schema, &other.schema);
        } else {
            case.config = one(rng, &case.config, &other.config);
        }
    }
    case
}

/// The head of a schema file with some of its fields.
fn fewer_fields(rng: &mut StdRng, text: &str) -> String {
    let Some((head, fields)) = text.split_once("fields:\n") else {
        return text.to_owned();
    };
    let mut items: Vec<String> = Vec::new();
    for line in fields.lines() {
        if line.starts_with("  - ") || items.is_empty() {
            items.push(String::new());
        }
        let item = items.last_mut().unwrap();
        item.push_str(line);
        item.push('\n');
    }
    // What others refer to stays, or nothing would be right any more.
    let kept = items
        .into_iter()
        .filter(|item| item.contains("&id") || item.contains("goneAt") || rng.random_bool(0.2));
    format!("{head}fields:\n{}", kept.collect::<String>())
}

/// One mutation.
fn one(rng: &mut StdRng, text: &str, other: &str) -> String {
    let made = match rng.random_range(0..16) {
        0 => {
            let odd = ODD[rng.random_range(0..ODD.len())];
            insert(rng, text, &odd.to_string())
        }
        1 | 2 => {
            let word = WORDS[rng.random_range(0..WORDS.len())];
            insert(rng, text, word)
        }
        3 => cut(rng, text),
        4..=7 => swap_words(rng, text),
        8 => lines(rng, text, |_, _| None),
        9 => lines(rng, text, |_, line| Some(format!("{line}\n{line}"))),
        10 => lines(rng, text, |rng, line| {
            Some(format!("{}{line}", " ".repeat(rng.random_range(1..5))))
        }),
        11 => lines(rng, text, |_, line| Some(line.trim_start().to_owned())),
        12 => {
            let deep = deep(rng);
            insert(rng, text, &deep)
        }
        13 => {
            let (from, to) = (place(rng, other), place(rng, other));
            insert(rng, text, &other[from.min(to)..from.max(to)])
        }
        14 => {
            let (from, to) = (place(rng, text), place(rng, text));
            let part = &text[from.min(to)..from.max(to)];
            let times = rng.random_range(2..10);
            insert(
                rng,
                text,
                &part.chars().take(200).collect::<String>().repeat(times),
            )
        }
        _ => text[..place(rng, text)].to_owned(),
    };
    let mut end = made.len().min(LARGEST);
    while !made.is_char_boundary(end) {
        end -= 1;
    }
    made[..end].to_owned()
}

/// A place between two characters.
fn place(rng: &mut StdRng, text: &str) -> usize {
    let mut at = rng.random_range(0..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn insert(rng: &mut StdRng, text: &str, part: &str) -> String {
    let at = place(rng, text);
    format!("{}{part}{}", &text[..at], &text[at..])
}

fn cut(rng: &mut StdRng, text: &str) -> String {
    let from = place(rng, text);
    let length = rng.random_range(1..20);
    let rest: String = text[from..].chars().skip(length).collect();
    format!("{}{rest}", &text[..from])
}

/// Parentheses without end, or nested tables.
fn deep(rng: &mut StdRng) -> String {
    let open = [
        "[",
        "{",
        "{a: ",
        "{a = ",
        "- ",
        "? ",
        "a.",
        "[[",
        "&x [",
        "{ object: o, fields: [",
        "'",
        "\"",
    ];
    // Beyond 128 the parsers refuse; very long lines cost the most time.
    let most = if rng.random_bool(0.95) { 200 } else { 3000 };
    let count = rng.random_range(1..most);
    open[rng.random_range(0..open.len())].repeat(count)
}

/// Replaces a word by one of the list, or by another of the text.
fn swap_words(rng: &mut StdRng, text: &str) -> String {
    let words = words(text);
    if words.is_empty() {
        return text.to_owned();
    }
    let (from, to) = words[rng.random_range(0..words.len())];
    let with = if rng.random_bool(0.6) {
        WORDS[rng.random_range(0..WORDS.len())]
    } else {
        let (from, to) = words[rng.random_range(0..words.len())];
        &text[from..to]
    };
    format!("{}{with}{}", &text[..from], &text[to..])
}

/// Where the words of a text stand, quotes included.
fn words(text: &str) -> Vec<(usize, usize)> {
    let is_word = |c: char| c.is_alphanumeric() || "_.\"'-/:@".contains(c);
    let mut found = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices() {
        match (is_word(character), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push((from, at));
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    found
}

/// Puts something in the place of one line.
fn lines(
    rng: &mut StdRng,
    text: &str,
    change: impl Fn(&mut StdRng, &str) -> Option<String>,
) -> String {
    let count = text.lines().count();
    if count == 0 {
        return String::new();
    }
    let chosen = rng.random_range(0..count);
    let mut made = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        let line = if number == chosen {
            change(rng, line)
        } else {
            Some(line.to_owned())
        };
        if let Some(line) = line {
            made.push_str(&line);
            made.push('\n');
        }
    }
    made
}

/// The same files in other layouts: comments, empty lines, blanks, line ends, depth of indents.
pub(crate) fn layouts(case: &Case) -> Vec<(&'static str, Case)> {
    let both = |change: &dyn Fn(&str) -> String| Case {
        config: change(&case.config),
        schema: change(&case.schema),
    };
    let each_line = |change: &dyn Fn(&str) -> String| {
        both(&|text: &str| text.lines().map(|line| change(line) + "\n").collect())
    };
    let indented = Case {
        schema: case
            .schema
            .lines()
            .map(|line| {
                let more = if line.starts_with(' ') { "   " } else { "" };
                format!("{more}{line}\n")
            })
            .collect(),
        ..case.clone()
    };
    vec![
        (
            "comments",
            each_line(&|line| format!("# a 'comment' \"\n{line}")),
        ),
        (
            "comments behind",
            each_line(&|line| format!("{line}  # {{[*&\"'")),
        ),
        ("empty lines", each_line(&|line| format!("\n{line}\n"))),
        ("blanks behind", each_line(&|line| format!("{line}   \t"))),
        ("Windows", both(&|text| text.replace('\n', "\r\n"))),
        ("a byte order mark", both(&|text| format!("\u{feff}{text}"))),
        ("no last line end", both(&|text| text.trim_end().to_owned())),
        ("deeper indents", indented),
    ]
}

/// What no report may show.
pub(crate) const SECRET: &str = "hunter2";

/// A configuration with secrets in right places, and a mistake near one.
pub(crate) fn mistake_beside_a_secret(rng: &mut StdRng) -> Case {
    let text = "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://u:hunter2@h/d\"\n\
        [broker]\nschema_registry_url = \"http://hunter2@r\"\nschema_registry_username = \"u\"\nschema_registry_password = \"hunter2\"\n\
        kafka = { \"sasl.password\" = \"hunter2\", \"ssl.key.pem\" = \"hunter2\" }\n\
        [sinks.a]\ntype = \"opensearch\"\nurl = \"http://u:hunter2@h\"\napi_key = \"hunter2\"\nheaders = { Authorization = \"hunter2\" }\n\
        [server]\nadmin_password = \"hunter2\"\nadmin_token = \"hunter2\"\n\
        [telemetry]\notlp_headers = { Authorization = \"Bearer hunter2\" }\n";
    let lines: Vec<&str> = text.lines().collect();
    let secret: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].contains(SECRET))
        .collect();
    let chosen = secret[rng.random_range(0..secret.len())];
    let line = lines[chosen];
    let (key, value) = line.split_once(" = ").unwrap();
    let wrong = match rng.random_range(0..9) {
        0 => format!("{key}x = {value}"),
        1 => format!("{key} = [{value}]"),
        2 => format!("{key} = {{ a = {value} }}"),
        3 => format!("{key} = {value}\n{key} = {value}"),
        4 => format!("{key} = {value} {value}"),
        5 => format!("{key} {value}"),
        6 => format!("{key} = {}", &value[..value.len() - 1]),
        7 => format!("type = 5\n{line}"),
        _ => format!("{key} = {{ env = {value}, file = {value} }}"),
    };
    let config: String = (0..lines.len())
        .map(|at| format!("{}\n", if at == chosen { &wrong } else { lines[at] }))
        .collect();
    Case {
        config,
        schema: String::new(),
    }
}
