#![doc = include_str!("../README.md")]

pub mod client;
pub mod deals;
pub mod fill;
pub mod floor;
pub mod growth;
pub mod load;
pub mod measure;
pub mod process;
pub mod report;
pub mod scenario;
pub mod target;
