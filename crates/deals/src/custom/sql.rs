//! Custom fields. The values are stored twice: as JSON in the row of the client or deal, by field id, so that they are
//! read and audited with it; and in a table of their own, so that lists can be filtered by them.

mod definitions;
mod differences;
mod filters;
mod values;

use crate::core::Core;

pub(crate) use definitions::{fields_for, fields_of, lock_fields};
pub(crate) use differences::{difference, keys_of};
pub(crate) use filters::{PREFIX, condition};
pub(crate) use values::{
    CustomValues, TargetId, ValidatedValues, merge, validate, validate_changed, validate_new, values_by_key,
};

/// Custom fields, on a database.
#[derive(Clone)]
pub struct SqlCustomFields {
    pub(crate) core: Core,
}
