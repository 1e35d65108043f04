use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{DealStatus, MAX_PROBABILITY, StageId};

/// A stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stage {
    /// The stage's id.
    pub id: StageId,
    /// Its name.
    pub name: String,
    /// Its position in the pipeline.
    pub position: i64,
    /// The status of the deals in it.
    pub kind: DealStatus,
    /// Probability of winning a deal in this stage, in percent.
    pub probability: i64,
    /// Number of days after which a deal in this stage counts as stale.
    pub rot_days: Option<i64>,
    /// Fields that a deal needs to enter this stage.
    pub required_fields: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A stage to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewStage {
    /// Its name.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// The status of the deals in it; `open` by default.
    #[garde(skip)]
    pub kind: Option<DealStatus>,
    /// Probability of winning a deal in this stage, in percent.
    #[garde(inner(range(min = 0, max = MAX_PROBABILITY)))]
    pub probability: Option<i64>,
    /// Number of days after which a deal in this stage counts as stale.
    #[garde(inner(range(min = 1, max = 10_000)))]
    pub rot_days: Option<i64>,
    /// Fields that a deal needs to enter this stage.
    #[serde(default)]
    #[garde(length(max = 20))]
    pub required_fields: Vec<String>,
}

/// A change to a stage; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct StagePatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Probability of winning a deal in this stage, in percent. Deals already in it keep theirs.
    #[garde(inner(range(min = 0, max = MAX_PROBABILITY)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub probability: Option<i64>,
    /// Number of days after which a deal in this stage counts as stale; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(inner(inner(range(min = 1, max = 10_000))))]
    pub rot_days: Option<Option<i64>>,
    /// Fields that a deal needs to enter this stage.
    #[garde(inner(length(max = 20)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub required_fields: Option<Vec<String>>,
}

/// A new order of a pipeline's stages.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct StageOrder {
    /// All stages of the pipeline, each exactly once.
    #[garde(length(max = 100))]
    pub stages: Vec<StageId>,
}

/// Where to move the deals of a stage before it is deleted.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StageRemoval {
    /// Another stage of the same pipeline and kind.
    pub move_to: Option<StageId>,
}
