//! The kernel against real databases.

mod db;
mod lists;
mod things;
