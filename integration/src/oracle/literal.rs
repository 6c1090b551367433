//! Postgres' text of arrays and ranges, taken apart.

use anyhow::{Context, Result, bail};

/// The elements of an array, row by row, whatever its dimensions and lower bounds.
pub(super) fn elements(text: &str) -> Result<Vec<Option<String>>> {
    // Lower bounds other than 1 stand before an equals sign: `[0:1]={a,b}`.
    let body = match text.strip_prefix('[') {
        Some(_) => text.split_once('=').context("bounds without an array")?.1,
        None => text,
    };
    let mut elements = Vec::new();
    let mut chars = body.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '{' | '}' | ',' => {}
            '"' => {
                let mut element = String::new();
                loop {
                    match chars.next().context("an element without an end")? {
                        '"' => break,
                        '\\' => element.push(chars.next().context("a lonely backslash")?),
                        char => element.push(char),
                    }
                }
                elements.push(Some(element));
            }
            first => {
                let mut element = String::from(first);
                while let Some(char) = chars.next_if(|char| !matches!(char, ',' | '}')) {
                    element.push(char);
                }
                elements.push((element != "NULL").then_some(element));
            }
        }
    }
    Ok(elements)
}

/// One side of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) text: String,
    pub(super) is_included: bool,
}

/// A range that is not empty; a side without a bound is `None`.
pub(super) type Range = (Option<Bound>, Option<Bound>);

/// A range, nothing when it is empty.
pub(super) fn range(text: &str) -> Result<Option<Range>> {
    if text == "empty" {
        return Ok(None);
    }
    let mut rest = text.chars();
    let range = next_range(&mut rest)?;
    if rest.next().is_some() {
        bail!("text after a range");
    }
    Ok(Some(range))
}

/// The ranges of a multirange.
pub(super) fn ranges(text: &str) -> Result<Vec<Range>> {
    let body = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .context("a multirange without braces")?;
    let mut rest = body.chars();
    let mut ranges = Vec::new();
    while !rest.as_str().is_empty() {
        ranges.push(next_range(&mut rest)?);
        rest.next();
    }
    Ok(ranges)
}

fn next_range(rest: &mut std::str::Chars<'_>) -> Result<Range> {
    let low_included = match rest.next() {
        Some('[') => true,
        Some('(') => false,
        _ => bail!("a range without a bracket"),
    };
    let (low, comma) = side(rest)?;
    if comma != ',' {
        bail!("a range without a comma");
    }
    let (high, end) = side(rest)?;
    let bound = |text: Option<String>, is_included| text.map(|text| Bound { text, is_included });
    Ok((bound(low, low_included), bound(high, end == ']')))
}

/// A bound up to the sign that ends it; nothing when there is none.
fn side(rest: &mut std::str::Chars<'_>) -> Result<(Option<String>, char)> {
    let mut text = String::new();
    let mut is_there = false;
    let mut is_quoted = false;
    loop {
        let char = rest.next().context("a range without an end")?;
        match char {
            '"' if is_quoted && rest.as_str().starts_with('"') => {
                rest.next();
                text.push('"');
            }
            '"' => {
                is_quoted = !is_quoted;
                is_there = true;
            }
            '\\' => text.push(rest.next().context("a lonely backslash")?),
            ',' | ')' | ']' if !is_quoted => return Ok((is_there.then_some(text), char)),
            char => {
                text.push(char);
                is_there = true;
            }
        }
    }
}
