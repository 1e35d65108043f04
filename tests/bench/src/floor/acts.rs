//! The writes, statement for statement.

use serde_json::json;

use super::{
    answers, deals, statements,
    store::{Arg, Link, Row},
};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3600 * SECOND;
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
    DeleteGroup(Removal),
    CreatePost(NewPost),
    React(Reaction),
    CreateDeal(deals::NewDeal),
    Pay(deals::NewPayment),
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

/// A group that goes, and who wants it to.
pub(super) struct Removal {
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

/// What somebody makes of a post.
pub(super) struct Reaction {
    pub(super) post: i64,
    pub(super) user: i64,
    pub(super) kind: String,
    pub(super) now: i64,
}

impl Act {
    /// Runs it inside a transaction that is open. Brings back what was read: for a sign-in the session's
    /// id and the account, for a refresh whose session it is, for a new group or post its columns.
    pub(super) async fn run(&self, link: &mut Link<'_>) -> sqlx::Result<Vec<Row>> {
        match self {
            Self::SignIn(new) => sign_in(link, new).await,
            Self::Refresh(rotation) => refresh(link, rotation).await,
            Self::CreateGroup(new) => create_group(link, new).await,
            Self::DeleteGroup(removal) => delete_group(link, removal).await,
            Self::CreatePost(new) => create_post(link, new).await,
            Self::React(reaction) => react(link, reaction).await,
            Self::CreateDeal(new) => deals::store_deal(link, new).await,
            Self::Pay(new) => deals::store_payment(link, new).await,
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
    let (slug, description) = (Arg::Text(&new.slug), Arg::Text(&new.description));
    let words = format!("{} {}", new.name_key, new.description.to_lowercase());
    let words = Arg::Text(&words);
    let group = link.one(statements::NEW_GROUP, &[name, name_key, slug, description, creator, words, now]).await?;
    link.one(statements::NEW_OWNER, &[Arg::Int(group.get(0)?), creator, now]).await?;
    Ok(vec![group])
}

/// The group that somebody acts on.
async fn take_seat(link: &mut Link<'_>, group: i64, user: i64) -> sqlx::Result<Row> {
    let sql = if link.is_postgres() { statements::LOCKED_SEAT } else { statements::SEAT };
    link.one(sql, &[Arg::Int(user), Arg::Flag(false), Arg::Flag(true), Arg::Int(group)]).await
}

async fn delete_group(link: &mut Link<'_>, removal: &Removal) -> sqlx::Result<Vec<Row>> {
    let group = Arg::Int(removal.group);
    let seat = take_seat(link, removal.group, removal.user).await?;
    link.one(statements::WHAT_GOES, &[group]).await?;
    only_one(link.run(statements::GROUP_GOES, &[group]).await?)?;
    let name: String = seat.get(answers::GROUP_NAME)?;
    let (label, detail) = (format!("#{}", removal.user), json!({"group": removal.group, "name": name}).to_string());
    let args = [
        Arg::Int(removal.now),
        Arg::Int(removal.user),
        Arg::Text(&label),
        Arg::Text(&removal.ip),
        Arg::Maybe(removal.agent.as_deref()),
        Arg::Text(&removal.request),
        Arg::Text(&detail),
    ];
    link.run(statements::GROUP_WENT, &args).await?;
    Ok(Vec::new())
}

async fn create_post(link: &mut Link<'_>, new: &NewPost) -> sqlx::Result<Vec<Row>> {
    take_seat(link, new.group, new.author).await?;
    let (html, words) = (format!("<p>{}</p>", new.content), new.content.to_lowercase());
    let args = [
        Arg::Int(new.group),
        Arg::Int(new.author),
        Arg::Text(&new.content),
        Arg::Text(&html),
        Arg::Int(new.now),
        Arg::Text(&words),
    ];
    let post = link.one(statements::NEW_POST, &args).await?;
    only_one(link.run(statements::COUNT_POST, &[Arg::Int(new.group)]).await?)?;
    Ok(vec![post])
}

async fn react(link: &mut Link<'_>, reaction: &Reaction) -> sqlx::Result<Vec<Row>> {
    let (id, user, kind) = (Arg::Int(reaction.post), Arg::Int(reaction.user), Arg::Text(&reaction.kind));
    let sql = if link.is_postgres() { statements::LOCKED_SUBJECT } else { statements::SUBJECT };
    let post = link.one(sql, &[user, Arg::Flag(false), Arg::Text("member"), id]).await?;
    if let Some(group) = post.get::<Option<i64>>(answers::POST_GROUP)? {
        link.one(statements::ROLE, &[Arg::Int(group), user]).await?;
    }
    let own = link.all(statements::OWN_REACTION, &[id, user]).await?;
    let before = own.first().map(|own| own.get::<String>(2)).transpose()?;
    let mut counts = answers::reactions(&post)?;
    match before {
        Some(before) if before == reaction.kind => return Ok(Vec::new()),
        Some(before) => {
            if let Some(count) = counts.get_mut(&before) {
                *count -= 1;
            }
            counts.retain(|_, count| *count > 0);
            link.run(statements::OTHER_REACTION, &[id, user, kind]).await?;
        }
        None => {
            link.run(statements::NEW_REACTION, &[id, user, kind, Arg::Int(reaction.now)]).await?;
        }
    }
    *counts.entry(reaction.kind.clone()).or_default() += 1;
    // Where exactly a post stands for it makes no difference here.
    let hot = post.get::<i64>(answers::POST_CREATED)? + counts.values().sum::<i64>() * SECOND;
    let counts = json!(counts).to_string();
    link.run(statements::KEEP_COUNTS, &[id, Arg::Text(&counts), Arg::Int(hot)]).await?;
    Ok(Vec::new())
}

/// What was to be changed must have been there.
fn only_one(changed: u64) -> sqlx::Result<()> {
    if changed == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
