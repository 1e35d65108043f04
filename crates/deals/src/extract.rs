//! Extractors and responses of several areas.

pub(crate) mod target;

use axum::response::{IntoResponse, Response};
use guildhall_kernel::{Json, Tagged, Timestamp, openapi::OperationOutput};
use serde::Deserialize;
use utoipa::{IntoParams, openapi::path::Operation};

use crate::Deal;

/// How an object is deleted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Removal {
    /// Purge it instead of moving it to the trash.
    #[serde(default)]
    pub(crate) purge: bool,
    /// The token of the preview.
    pub(crate) token: Option<String>,
}

/// The time at which an object is shown.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Moment {
    /// Show the object as it was at this time.
    pub(crate) as_of: Option<Timestamp>,
}

impl Moment {
    /// Responds with a deal.
    pub(crate) fn show(&self, deal: Deal) -> DealAt {
        match self.as_of {
            Some(_) => DealAt::Earlier(Json(deal)),
            None => DealAt::Current(Tagged(deal.updated_at.into(), deal)),
        }
    }
}

/// A deal now or earlier. Only the current version has an `ETag`, since an earlier one cannot be changed.
pub(crate) enum DealAt {
    Current(Tagged<Deal>),
    Earlier(Json<Deal>),
}

impl IntoResponse for DealAt {
    fn into_response(self) -> Response {
        match self {
            Self::Current(deal) => deal.into_response(),
            Self::Earlier(deal) => deal.into_response(),
        }
    }
}

impl OperationOutput for DealAt {
    fn describe(operation: &mut Operation) {
        Tagged::<Deal>::describe(operation);
    }
}
