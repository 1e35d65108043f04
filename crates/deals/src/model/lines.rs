use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DealFileId, DealId, LineId};
use crate::Amount;

/// Something that a deal is made up of. What a deal with lines is worth is what they are worth together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// Its id.
    pub id: LineId,
    /// The deal.
    pub deal_id: DealId,
    /// What is sold.
    pub name: String,
    /// How many, or how much of it.
    #[schema(example = "2.5")]
    pub quantity: String,
    /// What one costs, in the deal's currency.
    #[schema(example = "19.90")]
    pub unit_price: String,
    /// What is taken off, in per cent.
    #[schema(example = "10")]
    pub discount: String,
    /// What comes on top of what is left, in per cent.
    #[schema(example = "19")]
    pub tax: String,
    /// What it costs altogether, rounded once, half to even.
    #[schema(example = "53.28")]
    pub total: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A line to be added, behind the others.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewLine {
    /// What is sold.
    #[garde(custom(text::line(1, 200)))]
    pub name: String,
    /// How many, or how much of it, with up to six digits after the point; one, where this is not given.
    #[garde(skip)]
    pub quantity: Option<Amount>,
    /// What one costs, in the deal's currency.
    #[garde(skip)]
    pub unit_price: Amount,
    /// What is taken off, in per cent with up to two digits after the point.
    #[garde(skip)]
    pub discount: Option<Amount>,
    /// What comes on top of what is left, in per cent with up to two digits after the point.
    #[garde(skip)]
    pub tax: Option<Amount>,
}

/// A change to a line; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct LinePatch {
    /// What is sold.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// How many, or how much of it.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub quantity: Option<Amount>,
    /// What one costs.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub unit_price: Option<Amount>,
    /// What is taken off, in per cent.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub discount: Option<Amount>,
    /// What comes on top of what is left, in per cent.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub tax: Option<Amount>,
}

/// A file about a deal, or the receipt of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DealFile {
    /// Its id.
    pub id: DealFileId,
    /// What it is called.
    pub name: String,
    /// What sort of file it is.
    #[schema(example = "application/pdf")]
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// Where the caller reads it, for half an hour at least.
    pub url: String,
    /// Who added it.
    pub added_by: Option<Person>,
    /// When.
    pub created_at: Timestamp,
}
