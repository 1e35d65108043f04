use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ClientId, ClientStub, ContactId, Day, DealId, PipelineId, StageId};
use crate::{Amount, Currency};

/// Which deal is meant: one of a client's, where the path names the client too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose deal it has to be.
    pub client: Option<ClientId>,
    /// The deal.
    pub deal: DealId,
}

impl From<DealId> for Place {
    fn from(deal: DealId) -> Self {
        Self { client: None, deal }
    }
}

/// How a deal, or a stage, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DealStatus {
    /// Under way.
    Open,
    /// Sold.
    Won,
    /// Not sold.
    Lost,
}

/// What somebody who verifies has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Nothing yet.
    Pending,
    /// It is as it says.
    Verified,
    /// It is not.
    Rejected,
}

/// How much of a deal is paid, by money that is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Nothing.
    Unpaid,
    /// Some of it.
    Partial,
    /// All of it.
    Full,
    /// More than it is worth.
    Over,
}

/// A deal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Deal {
    /// Its id.
    pub id: DealId,
    /// Its number in the organization, from 1 without gaps; never used again.
    #[schema(example = "DLID0001")]
    pub number: String,
    /// The same.
    #[schema(example = "DLID0001")]
    pub deal_id: String,
    /// What is sold.
    pub title: String,
    /// More about it.
    pub description: String,
    /// Whom it is sold to.
    pub client: ClientStub,
    /// The same by its id.
    pub client_id: ClientId,
    /// Whom to speak with there.
    pub contact_id: Option<ContactId>,
    /// The stages that it goes through.
    pub pipeline_id: PipelineId,
    /// The name of the stage that it is in.
    pub stage: String,
    /// The stage that it is in.
    pub stage_id: StageId,
    /// When it got there.
    pub stage_entered_at: Timestamp,
    /// How it stands.
    pub status: DealStatus,
    /// What it is worth.
    #[schema(example = "1200.50")]
    pub value: String,
    /// In what.
    pub currency: Currency,
    /// What was paid and stands, verified or not: reversals and refunds are taken off.
    pub paid_total: String,
    /// What of it is verified.
    pub verified_total: String,
    /// What is still to be paid.
    pub balance: String,
    /// How much of it is paid, by money that is verified.
    pub payment_status: PaymentStatus,
    /// How likely it is won, in percent.
    pub probability: i64,
    /// Where it came from.
    pub source: String,
    /// When it will be won, one hopes.
    pub expected_close_date: Option<Day>,
    /// When it was won or lost.
    pub closed_at: Option<Timestamp>,
    /// Why it was lost.
    pub lost_reason: String,
    /// Has somebody verified that it is as it says?
    pub verification_status: Verification,
    /// What they said.
    pub verification_note: String,
    /// Whose it is.
    pub owner: Option<Person>,
    /// Who added it.
    pub created_by: Option<Person>,
    /// What the fields of the organization's own say, by their keys.
    pub custom: BTreeMap<String, serde_json::Value>,
    /// When it was put aside.
    pub archived_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A stage by its id, or by its name in any case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum StageRef {
    /// By its id.
    Id(StageId),
    /// By its name.
    Name(String),
}

/// A deal to be added.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewDeal {
    /// Whom it is sold to. Where the path names a client it is that one.
    #[garde(skip)]
    pub client_id: Option<ClientId>,
    /// What is sold.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// More about it.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub description: String,
    /// What it is worth: nothing, where this is not given.
    #[garde(skip)]
    pub value: Option<Amount>,
    /// In what; the organization's, where this is not given.
    #[garde(skip)]
    pub currency: Option<Currency>,
    /// The pipeline; the usual one, where neither this nor the stage says another.
    #[garde(skip)]
    pub pipeline_id: Option<PipelineId>,
    /// The stage; the first, where this is not given.
    #[garde(skip)]
    pub stage: Option<StageRef>,
    /// Whom to speak with.
    #[garde(skip)]
    pub contact_id: Option<ContactId>,
    /// How likely it is won, in percent; as its stage says, where this is not given.
    #[garde(inner(range(min = 0, max = 100)))]
    pub probability: Option<i64>,
    /// Where it came from.
    #[serde(default)]
    #[garde(custom(text::line(0, 100)))]
    pub source: String,
    /// When it will be won, one hopes.
    #[garde(skip)]
    pub expected_close_date: Option<Day>,
    /// Whose it is: an active member's account. The caller's, where this is not given.
    #[garde(skip)]
    pub owner_id: Option<UserId>,
    /// What the fields of the organization's own say, by their keys.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub custom: BTreeMap<String, serde_json::Value>,
}

/// A change to a deal; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct DealPatch {
    /// What is sold.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// More about it.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// What it is worth; not less than was paid.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub value: Option<Amount>,
    /// In what, as long as nothing was paid.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub currency: Option<Currency>,
    /// The stage.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub stage: Option<StageRef>,
    /// Whom to speak with; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub contact_id: Option<Option<ContactId>>,
    /// How likely it is won, in percent.
    #[garde(inner(range(min = 0, max = 100)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub probability: Option<i64>,
    /// Where it came from.
    #[garde(custom(text::maybe(text::line(0, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub source: Option<String>,
    /// When it will be won, one hopes; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub expected_close_date: Option<Option<Day>>,
    /// Whose it is: an active member's account.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub owner_id: Option<UserId>,
    /// What the fields of the organization's own say, by their keys; `null` clears one, others stay.
    #[garde(inner(length(max = 50)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub custom: Option<BTreeMap<String, serde_json::Value>>,
}

/// Where a deal goes on the board.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct Move {
    /// The stage.
    #[garde(skip)]
    pub stage: StageRef,
    /// Right behind this deal of that stage. Without either neighbour it goes to the end.
    #[garde(skip)]
    pub after: Option<DealId>,
    /// Right before this deal of that stage.
    #[garde(skip)]
    pub before: Option<DealId>,
    /// Why it was lost, where the stage says that it was.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub lost_reason: String,
}

/// Why a deal ends as it does.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct Closing {
    /// Why.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
}

/// What somebody who verifies has to say.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[schema(as = DealVerdict)]
pub struct Verdict {
    /// Why.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
}

/// That a deal moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageChange {
    /// Its number.
    pub id: i64,
    /// From which stage; none for a new deal.
    pub from_stage: Option<String>,
    /// To which.
    pub to_stage: String,
    /// Who moved it.
    pub moved_by: Option<Person>,
    /// When.
    pub moved_at: Timestamp,
}

/// The stages that deals go through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// What it is called.
    pub name: String,
    /// Where it stands among the others.
    pub position: i64,
    /// Where new deals begin.
    pub is_default: bool,
    /// Its stages, in their order.
    pub stages: Vec<Stage>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A pipeline to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewPipeline {
    /// What to call it.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// Where new deals begin, in the place of the one that was.
    #[serde(default)]
    #[garde(skip)]
    pub is_default: bool,
    /// Its stages, in their order; those that every organization begins with, where there are none.
    #[serde(default)]
    #[garde(length(max = 50), dive)]
    pub stages: Vec<NewStage>,
}

/// A change to a pipeline; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct PipelinePatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Where it stands among the others.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub position: Option<i64>,
    /// `true` makes it the one where new deals begin.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_default: Option<bool>,
}

/// A step of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stage {
    /// Its id.
    pub id: StageId,
    /// What it is called.
    pub name: String,
    /// Where it stands among the others.
    pub position: i64,
    /// How deals in it stand.
    pub kind: DealStatus,
    /// How likely they are won, in percent.
    pub probability: i64,
    /// After how many days a deal has been here for too long.
    pub rot_days: Option<i64>,
    /// What a deal needs to get here.
    pub required_fields: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A stage to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewStage {
    /// What to call it.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// How deals in it stand; open, where this is not given.
    #[garde(skip)]
    pub kind: Option<DealStatus>,
    /// How likely they are won, in percent.
    #[garde(inner(range(min = 0, max = 100)))]
    pub probability: Option<i64>,
    /// After how many days a deal has been here for too long.
    #[garde(inner(range(min = 1, max = 10_000)))]
    pub rot_days: Option<i64>,
    /// What a deal needs to get here: names of its fields.
    #[serde(default)]
    #[garde(length(max = 20))]
    pub required_fields: Vec<String>,
}

/// A change to a stage; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct StagePatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// How likely deals in it are won, in percent; what deals have stays.
    #[garde(inner(range(min = 0, max = 100)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub probability: Option<i64>,
    /// After how many days a deal has been here for too long; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(inner(inner(range(min = 1, max = 10_000))))]
    pub rot_days: Option<Option<i64>>,
    /// What a deal needs to get here.
    #[garde(inner(length(max = 20)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub required_fields: Option<Vec<String>>,
}

/// The order of a pipeline's stages.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct StageOrder {
    /// All of them, each once.
    #[garde(length(max = 100))]
    pub stages: Vec<StageId>,
}

/// Where the deals of a stage go that is removed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StageRemoval {
    /// Another stage of the pipeline, of the same kind.
    pub move_to: Option<StageId>,
}

/// What deals are worth together, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Total {
    /// In what.
    pub currency: Currency,
    /// How many they are.
    pub count: u64,
    /// What they are worth.
    pub value: String,
    /// What one may expect: each by how likely it is won.
    pub weighted: String,
}

/// A pipeline with its deals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Board {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// Its stages, in their order.
    pub columns: Vec<BoardColumn>,
}

/// A stage with its deals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardColumn {
    /// The stage.
    pub stage: Stage,
    /// The first of its deals, in their order.
    pub deals: Vec<Deal>,
    /// How many there are.
    pub count: u64,
    /// What they are worth, per currency.
    pub totals: Vec<Total>,
    /// What to ask for to read on: `?stage=…&after=…`; none where this is all.
    pub next_after: Option<DealId>,
}

/// Which part of a board is asked for.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lane {
    /// How many deals of each stage: 50, at most 100.
    pub limit: Option<u64>,
    /// Only this stage.
    pub stage: Option<StageId>,
    /// Only what stands behind this deal of that stage.
    pub after: Option<DealId>,
}
