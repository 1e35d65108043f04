#![doc = include_str!("../README.md")]

mod smtp;

pub use smtp::{InvalidMailServer, SmtpMailer};
