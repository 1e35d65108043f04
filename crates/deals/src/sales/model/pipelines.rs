use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{NewStage, PipelineId, Stage};

/// A pipeline: an ordered list of stages that deals go through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pipeline {
    /// The pipeline's id.
    pub id: PipelineId,
    /// Its name.
    pub name: String,
    /// Its position among the pipelines.
    pub position: i64,
    /// Whether new deals go into this pipeline by default.
    pub is_default: bool,
    /// Its stages, in order.
    pub stages: Vec<Stage>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A pipeline to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewPipeline {
    /// Its name.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// Makes this the default pipeline for new deals, replacing the current one.
    #[serde(default)]
    #[garde(skip)]
    pub is_default: bool,
    /// Its stages, in order; the default stages if empty.
    #[serde(default)]
    #[garde(length(max = 50), dive)]
    pub stages: Vec<NewStage>,
}

/// A change to a pipeline; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct PipelinePatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Its position among the pipelines.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub position: Option<i64>,
    /// `true` makes this the default pipeline for new deals.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_default: Option<bool>,
}
