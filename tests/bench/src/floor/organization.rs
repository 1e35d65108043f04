//! What requests to an organization have in common: the membership, numbers and the audit log.

use std::net::SocketAddr;

use axum::http::HeaderMap;

use super::{
    Floor, Result, agent, now, random,
    store::{Arg, Conn},
};

/// The caller's membership, with organization and role.
const MEMBERSHIP: &str = "SELECT m.*, o.*, r.* FROM deals_member m LEFT JOIN deals_organization o ON m.org_id = o.id \
    LEFT JOIN deals_role r ON m.role_id = r.id WHERE m.status = $1 AND m.org_id = $2 AND m.user_id = $3 LIMIT 1";
const LOCK_MEMBER: &str = "SELECT 1 FROM deals_member WHERE status = $1 AND org_id = $2 AND user_id = $3 FOR KEY SHARE";
pub(super) const NUMBER: &str =
    "UPDATE deals_counter SET next = next + 1 WHERE org_id = $1 AND kind = $2 RETURNING next - 1";
const AUDIT: &str = "INSERT INTO kernel_audit_event (at, actor_id, actor_label, subject_id, subject_label, action, \
    outcome, ip, user_agent, request_id, detail, scope, object) \
    VALUES ($1, $2, $3, NULL, '', $4, 'done', $5, $6, $7, $8, $9, $10)";

const ACTIVE: Arg<'static> = Arg::Text("active");

impl Floor {
    /// Fails unless the caller is a member of the organization.
    pub(super) async fn require_member(&self, conn: &mut Conn<'_>, org: i64, user: i64) -> Result<()> {
        conn.one(MEMBERSHIP, &[ACTIVE, Arg::Int(org), Arg::Int(user)]).await?;
        Ok(())
    }
}

/// The context of a write request.
pub(super) struct RequestContext {
    pub(super) org: i64,
    pub(super) user: i64,
    ip: String,
    agent: Option<String>,
    request: String,
    pub(super) now: i64,
}

impl RequestContext {
    pub(super) fn new(org: i64, user: i64, peer: SocketAddr, headers: &HeaderMap) -> Self {
        Self { org, user, ip: peer.ip().to_string(), agent: agent(headers), request: random(), now: now() }
    }

    /// Fails unless the caller is a member, and locks the membership. Returns its id.
    pub(super) async fn require_member(&self, conn: &mut Conn<'_>) -> sqlx::Result<i64> {
        let args = [ACTIVE, Arg::Int(self.org), Arg::Int(self.user)];
        if conn.is_postgres() {
            conn.all(LOCK_MEMBER, &args).await?;
        }
        conn.one(MEMBERSHIP, &args).await?.get(0)
    }

    pub(super) async fn audit(
        &self,
        conn: &mut Conn<'_>,
        action: &str,
        detail: &str,
        object: &str,
    ) -> sqlx::Result<()> {
        let (label, scope) = (format!("#{}", self.user), format!("deals/{}", self.org));
        let object = format!("{scope}/{object}");
        let args = [
            Arg::Int(self.now),
            Arg::Int(self.user),
            Arg::Text(&label),
            Arg::Text(action),
            Arg::Text(&self.ip),
            Arg::OptionalText(self.agent.as_deref()),
            Arg::Text(&self.request),
            Arg::Text(detail),
            Arg::Text(&scope),
            Arg::Text(&object),
        ];
        conn.run(AUDIT, &args).await?;
        Ok(())
    }
}
