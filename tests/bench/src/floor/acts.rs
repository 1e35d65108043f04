//! The writes, statement for statement.

use super::{
    answers,
    store::{Arg, Link, Row},
};

const DAY: i64 = 24 * 3600 * 1_000_000;
/// How long a session lasts.
const SESSION: i64 = 90 * DAY;
/// How long a refresh token does.
const REFRESH: i64 = 14 * DAY;

const KEYS: &str = "SELECT kid, is_active, verifies_until FROM accounts_signing_key";
const AUDIT: &str = "INSERT INTO kernel_audit_event \
    (at, actor_id, actor_label, subject_id, subject_label, action, outcome, ip, user_agent, request_id, detail) \
    VALUES ($1, $2, $3, $2, $3, 'accounts.sign_in', 'done', $4, $5, $6, '{\"second_factor\":false}')";

/// What is stored in one transaction.
pub(super) enum Act {
    SignIn(NewSession),
    Refresh(Rotation),
    CreateGroup(NewGroup),
}

/// A session, and with it its first refresh token.
pub(super) struct NewSession {
    pub(super) user: i64,
    pub(super) name: String,
    pub(super) epoch: i64,
    pub(super) ip: String,
    pub(super) agent: Option<String>,
    pub(super) jti: String,
    pub(super) now: i64,
}

/// The step from one refresh token of a session to the next.
pub(super) struct Rotation {
    pub(super) session: i64,
    pub(super) generation: i64,
    pub(super) jti: String,
    pub(super) next_jti: String,
    pub(super) now: i64,
}

/// A group, and with it its owner.
pub(super) struct NewGroup {
    pub(super) name: String,
    pub(super) name_key: String,
    pub(super) slug: String,
    pub(super) description: String,
    pub(super) creator: i64,
    pub(super) now: i64,
}

impl Act {
    /// Runs it inside a transaction that is open. Brings back what was read: for a sign-in the session's
    /// id and the account, for a refresh whose session it is, for a group its columns.
    pub(super) async fn run(&self, link: &mut Link<'_>) -> sqlx::Result<Vec<Row>> {
        match self {
            Self::SignIn(new) => sign_in(link, new).await,
            Self::Refresh(rotation) => refresh(link, rotation).await,
            Self::CreateGroup(new) => create_group(link, new).await,
        }
    }
}

async fn sign_in(link: &mut Link<'_>, new: &NewSession) -> sqlx::Result<Vec<Row>> {
    let (user, epoch, now, end) = (Arg::Int(new.user), Arg::Int(new.epoch), Arg::Int(new.now), new.now + SESSION);
    let met = link
        .run(
            "UPDATE users SET last_login = $1 WHERE id = $2 AND is_active = $3 AND auth_epoch = $4",
            &[now, user, Arg::Flag(true), epoch],
        )
        .await?;
    only_one(met)?;
    let session = link
        .one(
            "INSERT INTO accounts_session \
             (user_id, auth_epoch, ip, user_agent, seen_generation, created_at, last_seen_at, expires_at, \
              authenticated_at, second_factor) \
             VALUES ($1, $2, $3, $4, -1, $5, $5, $6, $5, false) RETURNING id",
            &[user, epoch, Arg::Text(&new.ip), Arg::Maybe(new.agent.as_deref()), now, Arg::Int(end)],
        )
        .await?;
    link.all(KEYS, &[]).await?;
    issue(link, session.get(0)?, new.user, 0, &new.jti, new.now).await?;
    let label = format!("{} #{}", new.name, new.user);
    let label = Arg::Text(&label);
    let (ip, agent) = (Arg::Text(&new.ip), Arg::Maybe(new.agent.as_deref()));
    link.run(AUDIT, &[now, user, label, ip, agent, Arg::Text(&new.jti)]).await?;
    let account = link.one(answers::ACCOUNT, &[user]).await?;
    Ok(vec![session, account])
}

async fn refresh(link: &mut Link<'_>, rotation: &Rotation) -> sqlx::Result<Vec<Row>> {
    link.all(KEYS, &[]).await?;
    let (session, now) = (Arg::Int(rotation.session), Arg::Int(rotation.now));
    let state = link
        .one(
            "SELECT u.id, u.public_id, u.is_active, u.auth_epoch, s.auth_epoch, s.seen_generation, s.expires_at, \
             s.revoked_at FROM accounts_session s JOIN users u ON u.id = s.user_id WHERE s.id = $1",
            &[session],
        )
        .await?;
    let consumed = link
        .run(
            "UPDATE accounts_refresh_token SET consumed_at = $1 \
             WHERE session_id = $2 AND generation = $3 AND jti = $4 AND consumed_at IS NULL",
            &[now, session, Arg::Int(rotation.generation), Arg::Text(&rotation.jti)],
        )
        .await?;
    only_one(consumed)?;
    issue(link, rotation.session, state.get(0)?, rotation.generation + 1, &rotation.next_jti, rotation.now).await?;
    link.run("UPDATE accounts_session SET last_seen_at = $1 WHERE id = $2", &[now, session]).await?;
    Ok(vec![state])
}

/// Stores a refresh token.
async fn issue(
    link: &mut Link<'_>,
    session: i64,
    user: i64,
    generation: i64,
    jti: &str,
    now: i64,
) -> sqlx::Result<Row> {
    link.one(
        "INSERT INTO accounts_refresh_token (session_id, user_id, generation, jti, kid, issued_at, expires_at) \
         VALUES ($1, $2, $3, $4, 'the-floors-key-0', $5, $6) RETURNING id",
        &[
            Arg::Int(session),
            Arg::Int(user),
            Arg::Int(generation),
            Arg::Text(jti),
            Arg::Int(now),
            Arg::Int(now + REFRESH),
        ],
    )
    .await
}

async fn create_group(link: &mut Link<'_>, new: &NewGroup) -> sqlx::Result<Vec<Row>> {
    let (creator, now) = (Arg::Int(new.creator), Arg::Int(new.now));
    let (name, name_key) = (Arg::Text(&new.name), Arg::Text(&new.name_key));
    // The last two are the number of members and what the caller is, as in a list of groups.
    let group = link
        .one(
            "INSERT INTO community_group (name, name_key, slug, description, category, is_private, \
             is_corporate_group, creator_id, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, 'general', false, false, $5, $6, $6) \
             RETURNING id, name, slug, description, category, is_private, is_corporate_group, creator_id, \
             created_at, updated_at, CAST(1 AS bigint), 'owner'",
            &[name, name_key, Arg::Text(&new.slug), Arg::Text(&new.description), creator, now],
        )
        .await?;
    link.one(
        "INSERT INTO community_membership (group_id, user_id, role, joined_at) \
         VALUES ($1, $2, 'owner', $3) RETURNING id",
        &[Arg::Int(group.get(0)?), creator, now],
    )
    .await?;
    Ok(vec![group])
}

/// What was to be changed must have been there.
fn only_one(changed: u64) -> sqlx::Result<()> {
    if changed == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
