//! What the pages know about the browser of a request.

use axum::{extract::FromRequestParts, http::request::Parts};
use guildhall_kernel::{Error, Result};

use crate::session::{CsrfToken, Nonce, Session};

/// The session of a browser, or its visit while nobody is signed in. The layer around all routes puts it into each
/// request.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) session: Option<Session>,
    visit: Nonce,
}

impl Browser {
    pub(crate) fn new(session: Option<Session>, visit: Nonce) -> Self {
        Self { session, visit }
    }

    /// The CSRF token of its forms.
    pub(crate) fn csrf_token(&self) -> CsrfToken {
        self.session.as_ref().map_or(&self.visit, |session| &session.nonce).csrf_token()
    }

    /// The browser of a request.
    pub(crate) fn of(parts: &Parts) -> Result<Self> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Error::internal("the layer of the pages is missing"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Browser {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::of(parts)
    }
}
