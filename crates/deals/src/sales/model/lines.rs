use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Amount, DealId, LineId};

/// A line item of a deal. The value of a deal with line items is their total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// The line item's id.
    pub id: LineId,
    /// The deal that it belongs to.
    pub deal_id: DealId,
    /// What is sold.
    pub name: String,
    /// The quantity.
    #[schema(example = "2.5")]
    pub quantity: String,
    /// The price of one unit, in the deal's currency.
    #[schema(example = "19.90")]
    pub unit_price: String,
    /// The discount in percent.
    #[schema(example = "10")]
    pub discount: String,
    /// The tax on the discounted price, in percent.
    #[schema(example = "19")]
    pub tax: String,
    /// The total, rounded once, half to even.
    #[schema(example = "53.28")]
    pub total: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A line item to add after the others.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewLine {
    /// What is sold.
    #[garde(custom(text::line(1, 200)))]
    pub name: String,
    /// The quantity, with up to six decimal places; 1 by default.
    #[garde(skip)]
    pub quantity: Option<Amount>,
    /// The price of one unit, in the deal's currency.
    #[garde(skip)]
    pub unit_price: Amount,
    /// The discount in percent, with up to two decimal places.
    #[garde(skip)]
    pub discount: Option<Amount>,
    /// The tax on the discounted price in percent, with up to two decimal places.
    #[garde(skip)]
    pub tax: Option<Amount>,
}

/// A change to a line item; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct LinePatch {
    /// What is sold.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// The quantity.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub quantity: Option<Amount>,
    /// The price of one unit.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub unit_price: Option<Amount>,
    /// The discount in percent.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub discount: Option<Amount>,
    /// The tax on the discounted price, in percent.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub tax: Option<Amount>,
}
