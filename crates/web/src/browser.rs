//! What the pages know about the browser of a request.

use axum::{extract::FromRequestParts, http::request::Parts};
use guildhall_kernel::{Error, Result};

use crate::session::{CsrfToken, Nonce, Session, refused};

/// The session of a browser, or its visit while nobody is signed in. The layer around all routes puts it into each
/// request.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) session: Option<Session>,
    visit: Option<Nonce>,
}

impl Browser {
    pub(crate) fn new(session: Option<Session>, visit: Option<Nonce>) -> Self {
        Self { session, visit }
    }

    /// The CSRF token of its forms; `None` for programs, which have no cookies.
    pub(crate) fn csrf_token(&self) -> Option<CsrfToken> {
        let session = self.session.as_ref().map(|session| &session.nonce);
        session.or(self.visit.as_ref()).map(Nonce::csrf_token)
    }

    /// Checks what a form or a script has sent; 403 `csrf_failed` if it is something else than the token.
    pub(crate) fn check_csrf(&self, sent: Option<&str>) -> Result<()> {
        self.csrf_token().ok_or_else(refused)?.check(sent)
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
