//! What people do in a browser, in a real one: headless Chromium. Skipped where Chromium or its driver is
//! not installed.

mod accessibility;
mod admin;
mod browser;
mod deals;
mod messages;
mod posts;
mod rooms;
