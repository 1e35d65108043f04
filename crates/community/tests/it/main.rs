//! Tests of the public API, beside a foreign user table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attachments;
mod bookmarks;
mod comments;
mod counters;
mod courses;
mod deletion;
mod drafts;
mod events;
mod feed;
mod fixtures;
mod groups;
mod harness;
mod http;
mod invites;
mod lessons;
mod link_previews;
mod members;
mod moderation;
mod notifications;
mod pictures;
mod plans;
mod polls;
mod posts;
mod quotas;
mod reactions;
mod removal;
mod reports;
mod requests;
mod reviews;
mod rsvps;
mod search;
