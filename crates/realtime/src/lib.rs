#![doc = include_str!("../README.md")]

mod admin;
mod bus;
mod close;
mod connections;
mod entity;
mod followers;
mod frame;
mod handler;
mod hub;
mod keys;
mod log;
mod migrations;
mod name;
mod peers;
mod removal;
mod routes;
mod settings;
mod socket;
mod stored;
mod streams;
mod subscription;

pub use admin::admin;
pub use bus::{Arrival, Arrive, Bus, Notice, PostgresBus, SingleProcess};
pub use frame::{About, Frame, Seq, Version};
pub use handler::{Command, OwnStream, StreamHandler, read_command, unknown_type};
pub use hub::Hub;
pub use log::begin_epoch;
pub use migrations::migrations;
pub use name::{InvalidName, StreamName};
pub use removal::Removal;
pub use routes::{Handshake, Handshakes, RealtimeState, openapi, router};
pub use settings::Settings;
pub use stored::{Head, LogPage};
pub use streams::{Started, Streams};
pub use subscription::{Delivery, GapReason, MAX_REPLAY, Next, Position, Start, Subscription};
