//! The program itself, as somebody at a terminal meets it.

mod commands;
mod serving;
mod terminal;
