//! How the processes of an installation tell each other about new events.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::UserId;

use crate::{Seq, StreamName};

/// Something that other processes should know. It may be lost, repeated or overtaken: the database has the events, and
/// each process compares its streams with it regularly.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An event was appended.
    Appended {
        /// The stream.
        stream: StreamName,
        /// The number of the event.
        seq: Seq,
        /// The JSON object of the event.
        body: String,
        /// The user who may not receive any later event.
        removes: Option<UserId>,
    },
    /// Something that is not stored.
    Transient {
        /// The stream.
        stream: StreamName,
        /// A JSON object.
        body: Utf8Bytes,
        /// The user who does not get it.
        except: Option<UserId>,
    },
    /// A session or a token of a user may have ended.
    Ended {
        /// The user.
        user: UserId,
    },
}

/// Sends notices to the other processes.
pub trait Bus: Send + Sync + 'static {
    /// Sends a notice without waiting.
    fn send(&self, notice: Notice);
}

/// The bus of an installation with one process: there is nobody to send to.
pub struct SingleProcess;

impl Bus for SingleProcess {
    fn send(&self, _: Notice) {}
}

impl<T: Bus> Bus for Arc<T> {
    fn send(&self, notice: Notice) {
        (**self).send(notice);
    }
}
