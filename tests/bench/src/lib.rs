#![doc = include_str!("../README.md")]

pub mod client;
pub mod deals;
pub mod fill;
pub mod floor;
pub mod growth;
pub mod load;
pub mod process;
pub mod report;
pub mod scenario;
