//! Connections: limits, activity tracking for idle timeouts, and draining of unread request bodies.

mod activity;
mod limits;
mod request_body;
mod warning;

pub(crate) use activity::{Activity, InFlight, ResponseBody, Socket};
pub(crate) use limits::{ConnectionPermit, Limits, raise_file_limit};
pub(crate) use request_body::RequestBody;
pub(crate) use warning::Warning;
