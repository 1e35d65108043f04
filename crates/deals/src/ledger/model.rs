use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Amount, Currency, Day, DealId, PaymentId, Verification};

/// The kind of a ledger entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// Money received.
    Payment,
    /// Money paid back, in full or in part.
    Refund,
    /// The correction of a payment that was recorded by mistake, always in full.
    Reversal,
}

/// A payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// Bank transfer.
    Bank,
    /// Cash.
    Cash,
    /// Cheque.
    Cheque,
    /// Electronic wallet.
    Wallet,
    /// Card.
    Card,
    /// Any other method.
    Other,
}

/// A ledger entry: a payment, refund or reversal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Payment {
    /// The entry's id.
    pub id: PaymentId,
    /// Its number in the organization, from 1 without gaps.
    #[schema(example = "TXN-0001")]
    pub transaction_id: String,
    /// The deal.
    pub deal_id: DealId,
    /// Its kind.
    pub kind: PaymentKind,
    /// The payment that a refund or reversal refers to.
    pub of_payment_id: Option<PaymentId>,
    /// The amount: always positive, for refunds and reversals too.
    #[schema(example = "1200.50")]
    pub amount: String,
    /// Its currency.
    pub currency: Currency,
    /// The payment method.
    pub method: PaymentMethod,
    /// The cheque number, for a cheque.
    pub cheque_number: Option<String>,
    /// The payment reference.
    pub reference: String,
    /// The day on which the money was received.
    pub received_on: Day,
    /// Whether it is verified. Only verified payments count as revenue.
    pub state: Verification,
    /// The reason for a rejection, refund or reversal.
    pub reason: String,
    /// The amount refunded so far.
    pub refunded: String,
    /// Whether it has been reversed.
    pub is_reversed: bool,
    /// Who recorded it.
    pub recorded_by: Option<Person>,
    /// Who verified or rejected it.
    pub decided_by: Option<Person>,
    /// When it was verified or rejected.
    pub decided_at: Option<Timestamp>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A payment to record.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewPayment {
    /// The amount, greater than zero.
    #[garde(skip)]
    pub amount: Amount,
    /// Its currency, which must be that of the deal; that of the deal by default.
    #[garde(skip)]
    pub currency: Option<Currency>,
    /// The payment method.
    #[garde(skip)]
    pub method: PaymentMethod,
    /// The day on which the money was received; by default today in the organization's time zone.
    #[garde(skip)]
    pub received_on: Option<Day>,
    /// The payment reference.
    #[serde(default)]
    #[garde(custom(text::line(0, 200)))]
    pub reference: String,
    /// The cheque number, only for cheques. It must be unique among payments that are not rejected or reversed.
    #[garde(custom(text::maybe(text::line(1, 50))))]
    pub cheque_number: Option<String>,
}

/// The reversal of a payment.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewReversal {
    /// The reason.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
}

/// The refund of a payment.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewRefund {
    /// The amount, at most the part of the payment that is not refunded yet.
    #[garde(skip)]
    pub amount: Amount,
    /// The reason.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
}
