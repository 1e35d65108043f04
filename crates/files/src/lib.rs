#![doc = include_str!("../README.md")]

mod admin;
mod content;
mod entity;
mod files;
mod folder;
mod form;
mod id;
mod limits;
mod link;
mod migrations;
mod picture;
mod response;
mod route;
mod store;
#[cfg(test)]
mod testing;
mod upload;

pub use admin::admin;
pub use content::{Content, Stored};
pub use files::Files;
pub use folder::FolderStore;
pub use form::{FORM_BYTES, Form};
pub use id::FileId;
pub use limits::{Reserve, UploadLimits};
pub use link::Signature;
pub use migrations::migrations;
pub use picture::{Fit, Size, pictures};
pub use route::{openapi, router};
pub use store::Store;
pub use upload::{LARGE, MEDIUM, SMALL, Upload, single_object};
