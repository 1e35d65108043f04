//! The write transactions, with the same statements as the server.

use serde_json::json;

use super::{
    deals, payments, responses, statements,
    store::{Arg, Conn, Row},
};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3600 * SECOND;
/// The lifetime of a session.
const SESSION: i64 = 90 * DAY;
/// The lifetime of a refresh token.
const REFRESH: i64 = 14 * DAY;

const KEYS: &str = "SELECT kid, is_active, verifies_until FROM accounts_signing_key";
const AUDIT_SIGN_IN: &str = "INSERT INTO kernel_audit_event \
    (at, actor_id, actor_label, subject_id, subject_label, action, outcome, ip, user_agent, request_id, detail) \
    VALUES ($1, $2, $3, $2, $3, 'accounts.sign_in', 'done', $4, $5, $6, '{\"second_factor\":false}')";

/// A write transaction.
pub(super) enum Write {
    SignIn(NewSession),
    Refresh(Rotation),
    CreateGroup(NewGroup),
    DeleteGroup(GroupDeletion),
    CreatePost(NewPost),
    React(Reaction),
    CreateDeal(deals::NewDeal),
    Pay(payments::NewPayment),
}

/// A session with its first refresh token.
pub(super) struct NewSession {
    pub(super) user: i64,
    pub(super) name: String,
    pub(super) epoch: i64,
    pub(super) ip: String,
    pub(super) agent: Option<String>,
    pub(super) jti: String,
    pub(super) now: i64,
}

/// The rotation of a session's refresh token.
pub(super) struct Rotation {
    pub(super) session: i64,
    pub(super) generation: i64,
    pub(super) jti: String,
    pub(super) next_jti: String,
    pub(super) now: i64,
}

/// A group with its owner.
pub(super) struct NewGroup {
    pub(super) name: String,
    pub(super) name_key: String,
    pub(super) slug: String,
    pub(super) description: String,
    pub(super) creator: i64,
    pub(super) now: i64,
}

/// The deletion of a group.
pub(super) struct GroupDeletion {
    pub(super) group: i64,
    pub(super) user: i64,
    pub(super) ip: String,
    pub(super) agent: Option<String>,
    pub(super) request: String,
    pub(super) now: i64,
}

/// A post in a group.
pub(super) struct NewPost {
    pub(super) group: i64,
    pub(super) author: i64,
    pub(super) content: String,
    pub(super) now: i64,
}

/// A reaction to a post.
pub(super) struct Reaction {
    pub(super) post: i64,
    pub(super) user: i64,
    pub(super) kind: String,
    pub(super) now: i64,
}

impl Write {
    /// Runs it in an open transaction. Returns the rows that the response needs: for a sign-in the session's id and the
    /// account, for a refresh the session's user, for a new group or post its columns.
    pub(super) async fn run(&self, conn: &mut Conn<'_>) -> sqlx::Result<Vec<Row>> {
        match self {
            Self::SignIn(new) => sign_in(conn, new).await,
            Self::Refresh(rotation) => refresh(conn, rotation).await,
            Self::CreateGroup(new) => create_group(conn, new).await,
            Self::DeleteGroup(deletion) => delete_group(conn, deletion).await,
            Self::CreatePost(new) => create_post(conn, new).await,
            Self::React(reaction) => react(conn, reaction).await,
            Self::CreateDeal(new) => deals::store_deal(conn, new).await,
            Self::Pay(new) => payments::store_payment(conn, new).await,
        }
    }
}

async fn sign_in(conn: &mut Conn<'_>, new: &NewSession) -> sqlx::Result<Vec<Row>> {
    let (user, epoch, now, end) = (Arg::Int(new.user), Arg::Int(new.epoch), Arg::Int(new.now), new.now + SESSION);
    let updated = conn
        .run(
            "UPDATE users SET last_login = $1 WHERE id = $2 AND is_active = $3 AND auth_epoch = $4",
            &[now, user, Arg::Flag(true), epoch],
        )
        .await?;
    expect_one(updated)?;
    let session = conn
        .one(
            "INSERT INTO accounts_session \
             (user_id, auth_epoch, ip, user_agent, seen_generation, created_at, last_seen_at, expires_at, \
              authenticated_at, second_factor) \
             VALUES ($1, $2, $3, $4, -1, $5, $5, $6, $5, false) RETURNING id",
            &[user, epoch, Arg::Text(&new.ip), Arg::OptionalText(new.agent.as_deref()), now, Arg::Int(end)],
        )
        .await?;
    conn.all(KEYS, &[]).await?;
    issue(conn, session.get(0)?, new.user, 0, &new.jti, new.now).await?;
    let label = format!("{} #{}", new.name, new.user);
    let label = Arg::Text(&label);
    let (ip, agent) = (Arg::Text(&new.ip), Arg::OptionalText(new.agent.as_deref()));
    conn.run(AUDIT_SIGN_IN, &[now, user, label, ip, agent, Arg::Text(&new.jti)]).await?;
    let account = conn.one(responses::ACCOUNT, &[user]).await?;
    Ok(vec![session, account])
}

async fn refresh(conn: &mut Conn<'_>, rotation: &Rotation) -> sqlx::Result<Vec<Row>> {
    conn.all(KEYS, &[]).await?;
    let (session, now) = (Arg::Int(rotation.session), Arg::Int(rotation.now));
    let state = conn
        .one(
            "SELECT u.id, u.public_id, u.is_active, u.auth_epoch, s.auth_epoch, s.seen_generation, s.expires_at, \
             s.revoked_at FROM accounts_session s JOIN users u ON u.id = s.user_id WHERE s.id = $1",
            &[session],
        )
        .await?;
    let consumed = conn
        .run(
            "UPDATE accounts_refresh_token SET consumed_at = $1 \
             WHERE session_id = $2 AND generation = $3 AND jti = $4 AND consumed_at IS NULL",
            &[now, session, Arg::Int(rotation.generation), Arg::Text(&rotation.jti)],
        )
        .await?;
    expect_one(consumed)?;
    issue(conn, rotation.session, state.get(0)?, rotation.generation + 1, &rotation.next_jti, rotation.now).await?;
    conn.run("UPDATE accounts_session SET last_seen_at = $1 WHERE id = $2", &[now, session]).await?;
    Ok(vec![state])
}

/// Stores a refresh token.
async fn issue(
    conn: &mut Conn<'_>,
    session: i64,
    user: i64,
    generation: i64,
    jti: &str,
    now: i64,
) -> sqlx::Result<Row> {
    conn.one(
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

async fn create_group(conn: &mut Conn<'_>, new: &NewGroup) -> sqlx::Result<Vec<Row>> {
    let (creator, now) = (Arg::Int(new.creator), Arg::Int(new.now));
    let (name, name_key) = (Arg::Text(&new.name), Arg::Text(&new.name_key));
    let (slug, description) = (Arg::Text(&new.slug), Arg::Text(&new.description));
    let search_text = format!("{} {}", new.name_key, new.description.to_lowercase());
    let search_text = Arg::Text(&search_text);
    let group =
        conn.one(statements::NEW_GROUP, &[name, name_key, slug, description, creator, search_text, now]).await?;
    conn.one(statements::NEW_OWNER, &[Arg::Int(group.get(0)?), creator, now]).await?;
    Ok(vec![group])
}

/// The group to be changed.
async fn load_group(conn: &mut Conn<'_>, group: i64, user: i64) -> sqlx::Result<Row> {
    let sql = if conn.is_postgres() { statements::GROUP_FOR_UPDATE } else { statements::GROUP_FOR_WRITE };
    conn.one(sql, &[Arg::Int(user), Arg::Flag(false), Arg::Flag(true), Arg::Int(group)]).await
}

async fn delete_group(conn: &mut Conn<'_>, deletion: &GroupDeletion) -> sqlx::Result<Vec<Row>> {
    let group = Arg::Int(deletion.group);
    let row = load_group(conn, deletion.group, deletion.user).await?;
    conn.one(statements::COUNT_GROUP_CONTENTS, &[group]).await?;
    expect_one(conn.run(statements::DELETE_GROUP, &[group]).await?)?;
    let name: String = row.get(responses::GROUP_NAME)?;
    let (label, detail) = (format!("#{}", deletion.user), json!({"group": deletion.group, "name": name}).to_string());
    let args = [
        Arg::Int(deletion.now),
        Arg::Int(deletion.user),
        Arg::Text(&label),
        Arg::Text(&deletion.ip),
        Arg::OptionalText(deletion.agent.as_deref()),
        Arg::Text(&deletion.request),
        Arg::Text(&detail),
    ];
    conn.run(statements::AUDIT_GROUP_DELETED, &args).await?;
    Ok(Vec::new())
}

async fn create_post(conn: &mut Conn<'_>, new: &NewPost) -> sqlx::Result<Vec<Row>> {
    load_group(conn, new.group, new.author).await?;
    let (html, search_text) = (format!("<p>{}</p>", new.content), new.content.to_lowercase());
    let args = [
        Arg::Int(new.group),
        Arg::Int(new.author),
        Arg::Text(&new.content),
        Arg::Text(&html),
        Arg::Int(new.now),
        Arg::Text(&search_text),
    ];
    let post = conn.one(statements::NEW_POST, &args).await?;
    expect_one(conn.run(statements::INCREMENT_POST_COUNT, &[Arg::Int(new.group)]).await?)?;
    Ok(vec![post])
}

async fn react(conn: &mut Conn<'_>, reaction: &Reaction) -> sqlx::Result<Vec<Row>> {
    let (id, user, kind) = (Arg::Int(reaction.post), Arg::Int(reaction.user), Arg::Text(&reaction.kind));
    let sql = if conn.is_postgres() { statements::POST_FOR_UPDATE } else { statements::POST_FOR_WRITE };
    let post = conn.one(sql, &[user, Arg::Flag(false), Arg::Text("member"), id]).await?;
    if let Some(group) = post.get::<Option<i64>>(responses::POST_GROUP)? {
        conn.one(statements::ROLE, &[Arg::Int(group), user]).await?;
    }
    let own = conn.all(statements::OWN_REACTION, &[id, user]).await?;
    let previous = own.first().map(|own| own.get::<String>(2)).transpose()?;
    let mut counts = responses::reactions(&post)?;
    match previous {
        Some(previous) if previous == reaction.kind => return Ok(Vec::new()),
        Some(previous) => {
            if let Some(count) = counts.get_mut(&previous) {
                *count -= 1;
            }
            counts.retain(|_, count| *count > 0);
            conn.run(statements::CHANGE_REACTION, &[id, user, kind]).await?;
        }
        None => {
            conn.run(statements::NEW_REACTION, &[id, user, kind, Arg::Int(reaction.now)]).await?;
        }
    }
    *counts.entry(reaction.kind.clone()).or_default() += 1;
    // The exact rank of the post does not matter here.
    let hot = post.get::<i64>(responses::POST_CREATED)? + counts.values().sum::<i64>() * SECOND;
    let counts = json!(counts).to_string();
    conn.run(statements::STORE_REACTION_COUNTS, &[id, Arg::Text(&counts), Arg::Int(hot)]).await?;
    Ok(Vec::new())
}

/// Fails unless exactly one row was changed.
fn expect_one(changed: u64) -> sqlx::Result<()> {
    if changed == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
