//! The promises of the community, beside a user table that is not ours.

mod groups;
mod harness;
mod http;
