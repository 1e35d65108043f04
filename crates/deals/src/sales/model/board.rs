use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Currency, Deal, DealId, PipelineId, Stage, StageId};

/// The total of deals in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Total {
    /// The currency.
    pub currency: Currency,
    /// Number of deals.
    pub count: u64,
    /// Their total value.
    pub value: String,
    /// Their total value, each deal weighted by its probability.
    pub weighted: String,
}

/// A board: a pipeline with its deals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Board {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// Its stages, in order.
    pub columns: Vec<BoardColumn>,
}

/// A column of a board: a stage with its deals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BoardColumn {
    /// The stage.
    pub stage: Stage,
    /// Its first deals, in order.
    pub deals: Vec<Deal>,
    /// Number of deals in the stage.
    pub count: u64,
    /// Totals per currency.
    pub totals: Vec<Total>,
    /// Where the next deals start: request `?stage=…&after=…`. `null` if there are no more.
    pub next_after: Option<DealId>,
}

/// Which part of a board to read.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BoardQuery {
    /// Maximum number of deals per stage; 50 by default, at most 100.
    pub limit: Option<u64>,
    /// Only this stage.
    pub stage: Option<StageId>,
    /// Only deals after this one. Requires `stage`.
    pub after: Option<DealId>,
}
