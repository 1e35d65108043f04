//! How the task of a socket ends.

use tokio_tungstenite::tungstenite;

use crate::close::Close;

/// The reason for which the socket is closed, unless the client has closed it.
pub(super) type Outcome<T = ()> = Result<T, Close>;

/// The reason for which a socket that failed is closed.
pub(super) fn failure(error: axum::Error) -> Close {
    tracing::debug!(%error, "a socket failed");
    match error.into_inner().downcast_ref() {
        Some(tungstenite::Error::Capacity(_)) => Close::TooLarge,
        Some(tungstenite::Error::Utf8(_)) => Close::NotText,
        Some(tungstenite::Error::WriteBufferFull(_)) => Close::TooSlow,
        Some(tungstenite::Error::Protocol(_)) => Close::NotWebSocket,
        _ => Close::Silent,
    }
}
