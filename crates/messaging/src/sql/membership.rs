//! Steps of operations that change who takes part in a group.

use guildhall_kernel::{
    Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::delivery::accepts_requests_only;
use crate::{
    core::{
        Core,
        frames::{Frame, stream},
    },
    entity::{conversation, member::MemberState},
    error::{Error, Result},
    event::{MemberAdded, OwnerChanged, RequestReceived},
    id::ConversationId,
    model::MAX_MEMBERS,
};

/// Adds a person, or brings them back. Whoever takes part already, or was asked to, is left as they are.
const ADD: &str = "INSERT INTO messaging_member (conversation_id, user_id, state, joined_no, joined_at, last_read_no, \
    cleared_no, unread_count, last_message_id, is_marked_unread) VALUES ($1, $2, $3, $4, $5, $4, 0, 0, \
    (SELECT id FROM messaging_message WHERE conversation_id = $1 AND no = $4), false) \
    ON CONFLICT (conversation_id, user_id) DO UPDATE SET state = excluded.state, joined_no = excluded.joined_no, \
    joined_at = excluded.joined_at, last_read_no = excluded.last_read_no, unread_count = 0, \
    last_message_id = excluded.last_message_id \
    WHERE messaging_member.state = 'left' OR messaging_member.state = 'removed'";
const STATE_OF: &str = "SELECT state FROM messaging_member WHERE conversation_id = $1 AND user_id = $2";
const END: &str = "UPDATE messaging_member SET state = $3, unread_count = 0, last_message_id = NULL, pinned_at = NULL, \
    archived_at = NULL, draft = NULL, draft_key_id = NULL, is_marked_unread = false \
    WHERE conversation_id = $1 AND user_id = $2 AND (state = 'active' OR state = 'requested')";
const ADD_TO_COUNT: &str = "UPDATE messaging_conversation SET member_count = member_count + $2 WHERE id = $1";
/// Who joined first, of those who take part.
const OLDEST: &str = "SELECT user_id FROM messaging_member WHERE conversation_id = $1 AND state = 'active' \
    AND user_id <> $2 ORDER BY joined_no, joined_at, user_id LIMIT 1";
const SET_OWNER: &str = "UPDATE messaging_conversation SET owner_id = $2, updated_at = $3 WHERE id = $1";
const DELETE: &str = "DELETE FROM messaging_conversation WHERE id = $1";

/// The groups that a user takes part in, was asked to, or owns.
const GROUPS_OF: &str = "SELECT c.id, c.name, c.owner_id FROM messaging_conversation c WHERE c.kind = 'group' \
    AND c.id IN (SELECT m.conversation_id FROM messaging_member m WHERE m.user_id = $1 \
    AND (m.state = 'active' OR m.state = 'requested')) ORDER BY c.id";

/// A group of a user whose account is removed.
#[derive(FromQueryResult)]
struct GroupRow {
    id: ConversationId,
    name: String,
    owner_id: Option<UserId>,
}

/// A group whose members change. It has to be locked.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) id: ConversationId,
    pub(super) last_no: i64,
    pub(super) member_count: i64,
}

/// The state of a user in a conversation, if they have ever been part of it.
pub(super) async fn state_of(
    conn: &impl ConnectionTrait,
    id: ConversationId,
    user: UserId,
) -> Result<Option<MemberState>> {
    Ok(db::scalar(conn, STATE_OF, [id.into(), user.into()]).await?)
}

/// Adds people to a group. Those who have left it, or who accept requests only, have to accept.
pub(super) async fn add_members(
    core: &Core,
    tx: &Tx,
    group: Group,
    actor: UserId,
    users: &[UserId],
    now: Timestamp,
) -> Result<()> {
    let (mut count, mut added) = (group.member_count, Vec::new());
    for user in users.iter().copied() {
        let has_to_accept = match state_of(tx, group.id, user).await? {
            Some(MemberState::Active | MemberState::Requested) => continue,
            Some(MemberState::Left) => true,
            Some(MemberState::Removed) | None => accepts_requests_only(tx, user).await?,
        };
        count += 1;
        if count > i64::try_from(MAX_MEMBERS).unwrap_or(i64::MAX) {
            return Err(Error::GroupFull);
        }
        let state = if has_to_accept { "requested" } else { "active" };
        let values = [group.id.into(), user.into(), state.into(), group.last_no.into(), now.into()];
        db::execute(&tx.deferred(), ADD, values).await?;
        db::execute(&tx.deferred(), ADD_TO_COUNT, [group.id.into(), 1_i64.into()]).await?;
        let conversation = group.id;
        if has_to_accept {
            let (sender, receiver) = (actor, user);
            tx.emit(&RequestReceived { message: None, conversation, sender, receiver }).await?;
        } else {
            core.append(tx, conversation, &Frame::MemberJoined { user_id: user }).await?;
            tx.emit(&MemberAdded { conversation, user, actor }).await?;
        }
        added.push((user, 0));
    }
    core.publish_change(tx, group.id, added).await
}

/// Ends a membership. The group has to be locked. Returns whether there was one.
pub(super) async fn end_membership(tx: &Tx, id: ConversationId, user: UserId, state: MemberState) -> Result<bool> {
    let state = if state == MemberState::Removed { "removed" } else { "left" };
    if db::execute(tx, END, [id.into(), user.into(), state.into()]).await? == 0 {
        return Ok(false);
    }
    db::execute(&tx.deferred(), ADD_TO_COUNT, [id.into(), (-1_i64).into()]).await?;
    Ok(true)
}

/// Makes a member the owner of a group.
pub(super) async fn set_owner(
    core: &Core,
    tx: &Tx,
    id: ConversationId,
    name: &str,
    owner: UserId,
    now: Timestamp,
) -> Result<()> {
    db::execute(&tx.deferred(), SET_OWNER, [id.into(), owner.into(), now.into()]).await?;
    core.append(tx, id, &Frame::ConversationChanged { name, owner_id: Some(owner) }).await?;
    Ok(tx.emit(&OwnerChanged { conversation: id, owner }).await?)
}

/// Lets the longest-standing other member own a group whose owner leaves, or deletes the group if there is none.
pub(super) async fn replace_owner(
    core: &Core,
    tx: &Tx,
    id: ConversationId,
    name: &str,
    leaving: UserId,
    now: Timestamp,
) -> Result<()> {
    let oldest: Option<UserId> = db::scalar(tx, OLDEST, [id.into(), leaving.into()]).await?;
    if let Some(owner) = oldest {
        return set_owner(core, tx, id, name, owner, now).await;
    }
    db::execute(&tx.deferred(), DELETE, [id.into()]).await?;
    Ok(core.host.streams.delete(tx, [stream(id)]).await?)
}

/// Ends all memberships of a user in groups. Their groups get another owner: the successor if they are a member, or
/// else the longest-standing member.
pub(crate) async fn release_groups(core: &Core, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<()> {
    let now = core.now();
    let groups: Vec<GroupRow> = db::rows(tx, GROUPS_OF, [user.into()]).await?;
    for GroupRow { id, name, owner_id } in groups {
        db::lock::<conversation::Entity>(tx, id).await?;
        end_membership(tx, id, user, MemberState::Left).await?;
        core.append_removal(tx, id, &Frame::MemberLeft { user_id: user }, user).await?;
        if owner_id != Some(user) {
            continue;
        }
        let next_owner = match successor {
            Some(successor) if state_of(tx, id, successor).await? == Some(MemberState::Active) => Some(successor),
            _ => None,
        };
        match next_owner {
            Some(owner) => set_owner(core, tx, id, &name, owner, now).await?,
            None => replace_owner(core, tx, id, &name, user, now).await?,
        }
    }
    Ok(())
}
