#![doc = include_str!("../README.md")]

mod bus;
mod close;
mod connections;
mod entity;
mod frame;
mod handler;
mod hub;
mod log;
mod migrations;
mod name;
mod routes;
mod settings;
mod socket;
mod stored;
mod streams;
mod subscription;

pub use bus::{Bus, Notice, SingleProcess};
pub use frame::{Frame, Seq};
pub use handler::{Command, OwnStream, StreamHandler, unknown_type};
pub use hub::Hub;
pub use log::begin_epoch;
pub use migrations::migrations;
pub use name::{InvalidName, StreamName};
pub use routes::{Handshake, Handshakes, RealtimeState, openapi, router};
pub use settings::Settings;
pub use stored::{Head, LogPage};
pub use streams::{Started, Streams};
pub use subscription::{Delivery, GapReason, MAX_REPLAY, Next, Position, Start, Subscription};
