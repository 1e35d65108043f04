#![doc = include_str!("../README.md")]

mod s3;
mod smtp;
mod web;

pub use s3::{InvalidStore, S3Store};
pub use smtp::{InvalidMailServer, SmtpMailer};
pub use web::{PublicWeb, WebUnavailable};
