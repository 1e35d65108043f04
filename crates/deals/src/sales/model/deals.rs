use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Amount, ClientId, ClientStub, ContactId, Currency, Day, DealId, PipelineId, StageId};

/// The maximum length of a deal's title, in characters.
pub(crate) const MAX_DEAL_TITLE: usize = 200;
/// The maximum length of a deal's description, in characters.
pub(crate) const MAX_DEAL_DESCRIPTION: usize = 10_000;
/// The maximum length of a deal's source, in characters.
pub(crate) const MAX_DEAL_SOURCE: usize = 100;
/// The maximum length of the reason for a loss, a reopening or a verification, in characters.
pub(crate) const MAX_REASON: usize = 500;
/// The maximum probability, in percent.
pub(crate) const MAX_PROBABILITY: i64 = 100;

/// A reference to a deal, by its id and optionally by its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DealRef {
    /// The client that the deal must belong to, if the path names one.
    pub client: Option<ClientId>,
    /// The deal's id.
    pub deal: DealId,
}

impl From<DealId> for DealRef {
    fn from(deal: DealId) -> Self {
        Self { client: None, deal }
    }
}

/// The status of a deal, and of the deals in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DealStatus {
    /// In progress.
    Open,
    /// Won.
    Won,
    /// Lost.
    Lost,
}

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Not decided yet.
    Pending,
    /// Verified.
    Verified,
    /// Rejected.
    Rejected,
}

/// How much of a deal is paid, counting verified payments only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Nothing is paid.
    Unpaid,
    /// Part of the value is paid.
    Partial,
    /// The whole value is paid.
    Full,
    /// More than the value is paid.
    Over,
}

/// A deal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Deal {
    /// The deal's id.
    pub id: DealId,
    /// Its number in the organization, counted from 1 without gaps and never reused.
    #[schema(example = "DLID0001")]
    pub number: String,
    /// The same as `number`.
    #[schema(example = "DLID0001")]
    pub deal_id: String,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// The client.
    pub client: ClientStub,
    /// The client's id.
    pub client_id: ClientId,
    /// The contact at the client.
    pub contact_id: Option<ContactId>,
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// The name of its stage.
    pub stage: String,
    /// Its stage.
    pub stage_id: StageId,
    /// When it entered its stage.
    pub stage_entered_at: Timestamp,
    /// Its status.
    pub status: DealStatus,
    /// Its value.
    #[schema(example = "1200.50")]
    pub value: String,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The total paid, verified or pending, minus refunds and reversals.
    pub paid_total: String,
    /// The part of `paid_total` that is verified.
    pub verified_total: String,
    /// The amount still to be paid.
    pub balance: String,
    /// How much of it is paid, counting verified payments only.
    pub payment_status: PaymentStatus,
    /// Probability of winning it, in percent.
    pub probability: i64,
    /// Where it came from, such as a campaign.
    pub source: String,
    /// Expected close date.
    pub expected_close_date: Option<Day>,
    /// When it was won or lost.
    pub closed_at: Option<Timestamp>,
    /// Why it was lost, if it was.
    pub lost_reason: String,
    /// Whether it has been verified.
    pub verification_status: Verification,
    /// The reason given with the verification.
    pub verification_note: String,
    /// The member responsible for it.
    pub owner: Option<Person>,
    /// Who created it.
    pub created_by: Option<Person>,
    /// Values of custom fields, by key.
    pub custom: BTreeMap<String, serde_json::Value>,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A stage, by its id or by its name (case-insensitive).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum StageRef {
    /// By its id.
    Id(StageId),
    /// By its name.
    Name(String),
}

/// A deal to create.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewDeal {
    /// The client. Ignored if the path names one.
    #[garde(skip)]
    pub client_id: Option<ClientId>,
    /// Its title.
    #[garde(custom(text::line(1, MAX_DEAL_TITLE)))]
    pub title: String,
    /// Its description.
    #[serde(default)]
    #[garde(custom(text::block(0, MAX_DEAL_DESCRIPTION)))]
    pub description: String,
    /// Its value; 0 by default.
    #[garde(skip)]
    pub value: Option<Amount>,
    /// Its currency; the organization's default currency by default.
    #[garde(skip)]
    pub currency: Option<Currency>,
    /// The pipeline; by default that of the stage, or the organization's default pipeline.
    #[garde(skip)]
    pub pipeline_id: Option<PipelineId>,
    /// The stage; the first of the pipeline by default.
    #[garde(skip)]
    pub stage: Option<StageRef>,
    /// The contact at the client.
    #[garde(skip)]
    pub contact_id: Option<ContactId>,
    /// Probability of winning it, in percent; that of the stage by default.
    #[garde(inner(range(min = 0, max = MAX_PROBABILITY)))]
    pub probability: Option<i64>,
    /// Where it came from, such as a campaign.
    #[serde(default)]
    #[garde(custom(text::line(0, MAX_DEAL_SOURCE)))]
    pub source: String,
    /// Expected close date.
    #[garde(skip)]
    pub expected_close_date: Option<Day>,
    /// The user ID of the responsible member, who must be active; the caller by default.
    #[garde(skip)]
    pub owner_id: Option<UserId>,
    /// Values of custom fields, by key.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub custom: BTreeMap<String, serde_json::Value>,
}

/// A change to a deal; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct DealPatch {
    /// Its title.
    #[garde(custom(text::maybe(text::line(1, MAX_DEAL_TITLE))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Its description.
    #[garde(custom(text::maybe(text::block(0, MAX_DEAL_DESCRIPTION))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// Its value; not less than what has been paid, unless overpayments are allowed.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub value: Option<Amount>,
    /// Its currency; fixed once a payment has been recorded.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub currency: Option<Currency>,
    /// The stage.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub stage: Option<StageRef>,
    /// The contact at the client; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub contact_id: Option<Option<ContactId>>,
    /// Probability of winning it, in percent.
    #[garde(inner(range(min = 0, max = MAX_PROBABILITY)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub probability: Option<i64>,
    /// Where it came from, such as a campaign.
    #[garde(custom(text::maybe(text::line(0, MAX_DEAL_SOURCE))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub source: Option<String>,
    /// Expected close date; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub expected_close_date: Option<Option<Day>>,
    /// The user ID of the responsible member, who must be active.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub owner_id: Option<UserId>,
    /// Values of custom fields, by key. `null` clears a value; absent keys stay as they are.
    #[garde(inner(length(max = 50)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub custom: Option<BTreeMap<String, serde_json::Value>>,
}

/// Where to move a deal on the board.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct MoveDeal {
    /// The stage.
    #[garde(skip)]
    pub stage: StageRef,
    /// The deal of that stage to move it after. Without `after` and `before` it goes to the end.
    #[garde(skip)]
    pub after: Option<DealId>,
    /// The deal of that stage to move it before.
    #[garde(skip)]
    pub before: Option<DealId>,
    /// Why it was lost; stored only if the kind of the stage is `lost`.
    #[serde(default)]
    #[garde(custom(text::line(0, MAX_REASON)))]
    pub lost_reason: String,
}

/// Why a deal is closed or reopened.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct CloseDeal {
    /// The reason.
    #[serde(default)]
    #[garde(custom(text::line(0, MAX_REASON)))]
    pub reason: String,
}

/// The reason for a verification decision.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[schema(as = DealVerdict)]
pub struct Verdict {
    /// The reason.
    #[serde(default)]
    #[garde(custom(text::line(0, MAX_REASON)))]
    pub reason: String,
}

/// A change of a deal's stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageChange {
    /// The id of the change.
    pub id: i64,
    /// The name of the previous stage; `null` for a new deal.
    pub from_stage: Option<String>,
    /// The name of the new stage.
    pub to_stage: String,
    /// Who moved it.
    pub moved_by: Option<Person>,
    /// When it was moved.
    pub moved_at: Timestamp,
}
