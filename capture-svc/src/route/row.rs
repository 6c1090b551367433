//! One row to one record.
//! Must hold: W4. A value is one of three things here: known, NULL included;
//! not known; or the same as before, wherever that is known.

use model::{Change, ColumnValue, OldValues, Operation};

use super::plan::{Plan, Slot};
use super::{Place, RouteError};
use crate::pgoutput::{Datum, Tuple};

/// What is known of a value: `None`, nothing.
type Known = Option<Option<String>>;

impl Plan {
    pub(super) fn insert(&self, new: &Tuple, at: Place) -> Result<Change, RouteError> {
        let new = self.data(new)?;
        let known = |slot: &Slot| self.text(datum(&new, slot));
        Ok(Change {
            key: whole(&self.key, known)?.0,
            after: Some(known_of(&self.routing, known)?.0),
            ..self.bare(Operation::Insert, at)
        })
    }

    pub(super) fn delete(&self, old: &Tuple, at: Place) -> Result<Change, RouteError> {
        let old = self.data(old)?;
        let known = |slot: &Slot| self.former(&old, slot);
        let (key, has_key) = whole(&self.key, known)?;
        let (before, has_all) = known_of(&self.routing, known)?;
        let is_known = has_key && has_all;
        Ok(Change {
            key,
            before: Some(before),
            old_values: if is_known {
                OldValues::Sent
            } else {
                OldValues::Unknown
            },
            ..self.bare(Operation::Delete, at)
        })
    }

    /// `None` when no used column changed.
    pub(super) fn update(
        &self,
        old: Option<&Tuple>,
        new: &Tuple,
        at: Place,
    ) -> Result<Option<Change>, RouteError> {
        let new = self.data(new)?;
        let old = old.map(|old| self.data(old)).transpose()?;
        if self.is_suppressed(old.as_deref(), &new) {
            return Ok(None);
        }
        let current = |slot: &Slot| match datum(&new, slot) {
            Some(Datum::Unchanged) => match &old {
                Some(old) => self.former(old, slot),
                None => Ok(None),
            },
            value => self.text(value),
        };
        let (key, has_key) = whole(&self.key, current)?;
        let (after, has_after) = known_of(&self.routing, current)?;
        let change = Change {
            key,
            after: Some(after),
            ..self.bare(Operation::Update, at)
        };
        let is_known = has_key && has_after && self.suffices;
        Ok(Some(match old {
            // Nothing of the identity changed, and it holds all that matters.
            None if is_known => Change {
                old_values: OldValues::Unchanged,
                ..change
            },
            None => Change {
                old_values: OldValues::Unknown,
                ..change
            },
            Some(old) => self.with_former(change, &old, is_known)?,
        }))
    }

    /// Adds what is known of the former row.
    fn with_former(
        &self,
        change: Change,
        old: &[Datum<'_>],
        is_known: bool,
    ) -> Result<Change, RouteError> {
        let known = |slot: &Slot| self.former(old, slot);
        let (old_key, has_old_key) = whole(&self.key, known)?;
        let (before, has_before) = known_of(&self.routing, known)?;
        let is_known = is_known && has_old_key && has_before;
        Ok(Change {
            old_key: (has_old_key && old_key != change.key).then_some(old_key),
            before: Some(before),
            old_values: if is_known {
                OldValues::Sent
            } else {
                OldValues::Unknown
            },
            ..change
        })
    }

    /// The values of a tuple, as many as the relation has columns.
    fn data<'a>(&self, tuple: &'a Tuple) -> Result<Vec<Datum<'a>>, RouteError> {
        if tuple.len() != self.width {
            return Err(RouteError::ColumnCount {
                table: self.table.clone(),
                found: tuple.len(),
                expected: self.width,
            });
        }
        Ok(tuple.iter().collect())
    }

    fn is_suppressed(&self, old: Option<&[Datum<'_>]>, new: &[Datum<'_>]) -> bool {
        let Some(watched) = &self.watched else {
            return false;
        };
        watched
            .iter()
            .all(|column| self.is_unchanged(old, new, *column))
    }

    /// `true` when this column's value is certainly the same as before.
    fn is_unchanged(&self, old: Option<&[Datum<'_>]>, new: &[Datum<'_>], column: usize) -> bool {
        let value = new.get(column);
        if value == Some(&Datum::Unchanged) {
            return true;
        }
        if !self.is_covered(column) {
            return false;
        }
        match old {
            // The server leaves the old row out when nothing of the identity
            // changed.
            None => true,
            Some(old) => value.is_some() && old.get(column) == value,
        }
    }

    /// The value in an old row: not known unless the identity carries it.
    fn former(&self, old: &[Datum<'_>], slot: &Slot) -> Result<Known, RouteError> {
        if self.covers(slot) {
            self.text(datum(old, slot))
        } else {
            Ok(None)
        }
    }

    fn text(&self, datum: Option<Datum<'_>>) -> Result<Known, RouteError> {
        match datum {
            None | Some(Datum::Unchanged) => Ok(None),
            Some(Datum::Null) => Ok(Some(None)),
            Some(Datum::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(Some(text.to_owned()))),
                Err(_) => Err(RouteError::NotUtf8 {
                    table: self.table.clone(),
                }),
            },
        }
    }
}

fn datum<'a>(row: &[Datum<'a>], slot: &Slot) -> Option<Datum<'a>> {
    row.get(slot.column?).copied()
}

/// The values of all of these columns, NULL for what is not known (a key keeps
/// its shape), and whether all are known.
fn whole(
    slots: &[Slot],
    known: impl Fn(&Slot) -> Result<Known, RouteError>,
) -> Result<(Vec<ColumnValue>, bool), RouteError> {
    let mut values = Vec::with_capacity(slots.len());
    let mut has_all = true;
    for slot in slots {
        let value = known(slot)?;
        has_all &= value.is_some();
        values.push(ColumnValue {
            name: slot.name.clone(),
            value: value.flatten(),
        });
    }
    Ok((values, has_all))
}

/// The values that are known, and whether that is all of them.
fn known_of(
    slots: &[Slot],
    known: impl Fn(&Slot) -> Result<Known, RouteError>,
) -> Result<(Vec<ColumnValue>, bool), RouteError> {
    let mut values = Vec::with_capacity(slots.len());
    for slot in slots {
        if let Some(value) = known(slot)? {
            values.push(ColumnValue {
                name: slot.name.clone(),
                value,
            });
        }
    }
    let has_all = values.len() == slots.len();
    Ok((values, has_all))
}
