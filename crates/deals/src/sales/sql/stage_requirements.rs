//! What a deal needs to enter a stage: the fields that the stage requires, and an approval to be won.
//!
//! The required fields are checked in Rust for a single deal, and in SQL for all deals of a stage. Both checks are
//! derived from [`REQUIRABLE`].

use guildhall_kernel::FieldErrors;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ModelTrait, QueryFilter, QuerySelect, Value,
    sea_query::{Expr, ExprTrait, Func},
};

use crate::{
    DealStatus, Error, Result, Verification,
    entity::{deal, organization, stage},
};

/// A field of a deal that a stage can require.
struct Requirable {
    /// The name in the API.
    name: &'static str,
    column: deal::Column,
    missing_if: MissingIf,
}

/// When a field counts as missing.
#[derive(Clone, Copy)]
enum MissingIf {
    Zero,
    Null,
    /// It has no characters other than white space.
    Blank,
}

/// The fields of a deal that a stage can require.
const REQUIRABLE: [Requirable; 5] = [
    Requirable { name: "value", column: deal::Column::ValueMinor, missing_if: MissingIf::Zero },
    Requirable { name: "contact_id", column: deal::Column::ContactId, missing_if: MissingIf::Null },
    Requirable { name: "expected_close_date", column: deal::Column::ExpectedCloseDate, missing_if: MissingIf::Null },
    Requirable { name: "description", column: deal::Column::Description, missing_if: MissingIf::Blank },
    Requirable { name: "source", column: deal::Column::Source, missing_if: MissingIf::Blank },
];

/// The characters that [`str::trim`] removes.
const WHITE_SPACE: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\
     \u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

impl Requirable {
    /// Whether a deal lacks the field.
    fn is_missing(&self, row: &deal::Model) -> bool {
        let value = row.get(self.column);
        match self.missing_if {
            MissingIf::Zero => value == Value::from(0_i64),
            MissingIf::Null => value == value.as_null(),
            MissingIf::Blank => matches!(&value, Value::String(Some(text)) if text.trim().is_empty()),
        }
    }

    /// The same as a condition on rows.
    fn is_missing_in_row(&self) -> Expr {
        match self.missing_if {
            MissingIf::Zero => self.column.eq(0_i64),
            MissingIf::Null => self.column.is_null(),
            MissingIf::Blank => {
                Expr::from(Func::cust("ltrim").arg(Expr::col(self.column)).arg(Expr::val(WHITE_SPACE))).eq("")
            }
        }
    }
}

/// The fields that a deal needs to enter a stage.
pub(crate) fn required_fields(row: &stage::Model) -> Vec<String> {
    serde_json::from_str(&row.required_fields).unwrap_or_default()
}

fn required(stage: &stage::Model) -> impl Iterator<Item = &'static Requirable> {
    let names = required_fields(stage);
    REQUIRABLE.iter().filter(move |field| names.iter().any(|name| name == field.name))
}

/// Checks that a stage can require these fields.
pub(super) fn check_requirable(names: &[String]) -> Result<()> {
    let known = REQUIRABLE.map(|field| field.name);
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(_) => Err(Error::field("required_fields", format!("Choose from: {}.", known.join(", ")))),
        None => Ok(()),
    }
}

/// Checks that a deal has the fields that its stage requires.
pub(crate) fn check_required_fields(row: &deal::Model, stage: &stage::Model) -> Result<()> {
    let message = || vec![format!("Required in the stage {}.", stage.name)];
    let missing = required(stage).filter(|field| field.is_missing(row));
    let errors: FieldErrors = missing.map(|field| (field.name.to_owned(), message())).collect();
    if errors.is_empty() { Ok(()) } else { Err(guildhall_kernel::Error::invalid(errors).into()) }
}

/// Checks that all deals of a stage have the fields that another stage requires.
pub(super) async fn check_required_fields_of_all(
    conn: &impl ConnectionTrait,
    from: &stage::Model,
    to: &stage::Model,
) -> Result<()> {
    let is_incomplete = required(to).fold(Condition::any(), |any, field| any.add(field.is_missing_in_row()));
    if is_incomplete.is_empty() {
        return Ok(());
    }
    let incomplete = deal::Entity::find()
        .select_only()
        .column_as(deal::Column::Id.count(), "n")
        .filter(deal::COLUMN.org_id.eq(from.org_id))
        .filter(deal::COLUMN.pipeline_id.eq(from.pipeline_id))
        .filter(deal::COLUMN.stage_id.eq(from.id))
        .filter(is_incomplete);
    match incomplete.into_tuple::<i64>().one(conn).await?.unwrap_or_default() {
        0 => Ok(()),
        deals => {
            let fields = required_fields(to).join(", ");
            let message = format!("{deals} deals lack fields required in the stage {}: {fields}.", to.name);
            Err(Error::field("move_to", message))
        }
    }
}

/// Whether a deal must be verified before it can be won.
pub(super) fn needs_approval(org: &organization::Model, row: &deal::Model) -> bool {
    // The limit is in the default currency. Deals in other currencies always need approval.
    let is_above = |limit| row.currency != org.default_currency || row.value_minor > limit;
    org.approval_above_minor.is_some_and(is_above) && row.verification != Verification::Verified
}

/// Checks that a deal which needs approval does not enter a won stage without it.
pub(crate) fn check_approval(org: &organization::Model, row: &deal::Model, stage: &stage::Model) -> Result<()> {
    let is_unapproved = stage.kind == DealStatus::Won && needs_approval(org, row);
    if is_unapproved { Err(Error::ApprovalRequired) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::WHITE_SPACE;

    #[test]
    fn the_white_space_of_both_checks_is_the_same() {
        let all: String = ('\0'..=char::MAX).filter(|c| c.is_whitespace()).collect();
        assert_eq!(WHITE_SPACE, all);
    }
}
