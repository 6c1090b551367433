//! Rows of our statements → keys and documents.
//! Must hold: W4: one answer for each key, and a key of as many parts as the index has.

use tokio_postgres::Row;

use super::documents::Built;
use super::failed::{Tried, failed};
use crate::Definite;
use crate::resolve::DocumentKey;

pub(super) fn take_row(
    built: &mut Built,
    waiting: &mut [Option<DocumentKey>],
    row: &Row,
) -> Tried<()> {
    let doing = "reading a built document";
    let n: i64 = row.try_get(0).map_err(failed(doing))?;
    let requested: &str = row.try_get(1).map_err(failed(doing))?;
    let own: Option<&str> = row.try_get(2).map_err(failed(doing))?;
    let document: Option<&str> = row.try_get(3).map_err(failed(doing))?;
    let place = usize::try_from(n)
        .ok()
        .and_then(|n| n.checked_sub(1))
        .and_then(|n| waiting.get_mut(n));
    let Some(key) = place.and_then(Option::take) else {
        let what = format!("the build statement answered row {n} twice or unasked");
        return Err(Definite::Definition(what).into());
    };
    match own {
        // A key that finds a row of another text (citext, numeric scale): the requested id
        // must go, the row's own is written.
        Some(own) if own != requested => {
            built.push(requested.to_owned(), key.0.clone(), None);
            built.push(own.to_owned(), key.0, document.map(str::as_bytes));
        }
        Some(_) | None => {
            built.push(requested.to_owned(), key.0, document.map(str::as_bytes));
        }
    }
    Ok(())
}

/// A key from the columns at `start`; `None` when one is NULL, which leads nowhere.
pub(super) fn key_of(
    row: &Row,
    start: usize,
) -> Result<Option<DocumentKey>, tokio_postgres::Error> {
    let mut key = Vec::with_capacity(row.len().saturating_sub(start));
    for n in start..row.len() {
        match row.try_get::<_, Option<String>>(n)? {
            Some(text) => key.push(text),
            None => return Ok(None),
        }
    }
    Ok(Some(DocumentKey(key)))
}

/// The leaf's file node; `None` when it is gone or no longer belongs to the root.
pub(super) fn leaf_file_node(row: Option<&Row>) -> Result<Option<u32>, tokio_postgres::Error> {
    let Some(row) = row else { return Ok(None) };
    let node: Option<i64> = row.try_get(0)?;
    let belongs: Option<bool> = row.try_get(1)?;
    Ok(node
        .filter(|_| belongs == Some(true))
        .and_then(|node| u32::try_from(node).ok()))
}

/// One array per key column.
pub(super) fn arrays(keys: &[DocumentKey], columns: usize) -> Tried<Vec<Vec<&str>>> {
    let mut arrays = vec![Vec::with_capacity(keys.len()); columns];
    for key in keys {
        if key.0.len() != columns {
            let what = format!(
                "a document key of {} parts, the index has {columns}",
                key.0.len()
            );
            return Err(Definite::Definition(what).into());
        }
        for (n, text) in key.0.iter().enumerate() {
            if let Some(array) = arrays.get_mut(n) {
                array.push(text.as_str());
            }
        }
    }
    Ok(arrays)
}
