use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Day, DealId, PaymentId, Verification};
use crate::{Amount, Currency};

/// Which way money went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// It came.
    Payment,
    /// Some of it went back.
    Refund,
    /// It never should have been here: all of it is taken back.
    Reversal,
}

/// How money came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// By transfer.
    Bank,
    /// In coins and notes.
    Cash,
    /// By cheque.
    Cheque,
    /// From an electronic wallet.
    Wallet,
    /// By card.
    Card,
    /// In another way.
    Other,
}

/// An entry in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// Its number in the organization, from 1 without gaps.
    #[schema(example = "TXN-0001")]
    pub transaction_id: String,
    /// The deal that it is for.
    pub deal_id: DealId,
    /// Which way it went.
    pub kind: PaymentKind,
    /// The payment that a refund or reversal takes back.
    pub of_payment_id: Option<PaymentId>,
    /// How much: never less than something, whichever way it went.
    #[schema(example = "1200.50")]
    pub amount: String,
    /// In what.
    pub currency: Currency,
    /// How.
    pub method: PaymentMethod,
    /// The number of the cheque.
    pub cheque_number: Option<String>,
    /// What it says on it.
    pub reference: String,
    /// The day that it came.
    pub received_on: Day,
    /// What somebody who verifies has said. Only what is verified counts as revenue.
    pub state: Verification,
    /// Why it was refused, or taken back.
    pub reason: String,
    /// How much of it went back in refunds.
    pub refunded: String,
    /// A reversal has taken it back.
    pub is_reversed: bool,
    /// Who recorded it.
    pub recorded_by: Option<Person>,
    /// Who decided about it.
    pub decided_by: Option<Person>,
    /// When they did.
    pub decided_at: Option<Timestamp>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When something was last decided about it.
    pub updated_at: Timestamp,
}

/// A payment to be recorded.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewPayment {
    /// How much.
    #[garde(skip)]
    pub amount: Amount,
    /// In what: as the deal says, where this is not given.
    #[garde(skip)]
    pub currency: Option<Currency>,
    /// How.
    #[garde(skip)]
    pub method: PaymentMethod,
    /// The day that it came; today in the organization's time zone, where this is not given.
    #[garde(skip)]
    pub received_on: Option<Day>,
    /// What it says on it.
    #[serde(default)]
    #[garde(custom(text::line(0, 200)))]
    pub reference: String,
    /// The number of the cheque; no two payments that stand have the same.
    #[garde(custom(text::maybe(text::line(1, 50))))]
    pub cheque_number: Option<String>,
}

/// A payment to be taken back.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewReversal {
    /// Why.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
}

/// Money to be given back.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewRefund {
    /// How much: not more than is left of the payment.
    #[garde(skip)]
    pub amount: Amount,
    /// Why.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
}
