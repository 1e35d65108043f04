//! Where the routers of the crates are nested.

/// `/api/auth/…` and `/api/users/…`.
pub(crate) const ACCOUNTS: &str = "/api";
/// `/api/community/…`.
pub(crate) const COMMUNITY: &str = "/api/community";
/// `/api/crm/…`.
pub(crate) const DEALS: &str = "/api/crm";
/// `/api/files/…`.
pub(crate) const FILES: &str = "/api";
/// `/api/chat/…`.
pub(crate) const CHAT: &str = "/api";
/// `/messaging/api/…`.
pub(crate) const MESSAGING: &str = "/messaging/api";
/// `/api/notifications/…`.
pub(crate) const NOTIFICATIONS: &str = "/api";
/// `/.well-known/…` (RFC 8615).
pub(crate) const WELL_KNOWN: &str = "/.well-known";
