#![doc = include_str!("../README.md")]

mod address;
mod error;
mod http;
mod nats;
mod percent;
mod s3;
mod smtp;

pub use http::{HttpUnavailable, PublicHttp};
pub use nats::{InvalidNatsServer, NatsBus};
pub use s3::{InvalidStore, S3Store};
pub use smtp::{InvalidMailServer, SmtpMailer};
