//! Groups and their members.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, UserId,
    db::{self, Tx},
};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::{
    SqlMessaging,
    delivery::Prepared,
    membership::{Group, add_members, end_membership, replace_owner, set_owner, state_of},
};
use crate::{
    core::{access::Access, blocks::blocked_among, frames::Frame},
    entity::{
        conversation::{self, ConversationKind},
        member::{self, MemberState},
    },
    error::{Error, Result},
    event::{MemberLeft, MemberRemoved},
    id::ConversationId,
    model::{Conversation, GroupPatch, MAX_MEMBERS, Member, NewGroup, NewMembers, TEXT},
    service::Groups,
};

/// What the server writes into a new group, so that it has a place in the inbox.
const CREATED: &str = "Group created.";

const RENAME: &str = "UPDATE messaging_conversation SET name = $2, updated_at = $3 WHERE id = $1";
const TOUCH: &str = "UPDATE messaging_conversation SET updated_at = $2 WHERE id = $1";

/// The ids without repetitions, in a fixed order.
fn distinct(users: &[UserId], without: UserId) -> Vec<UserId> {
    let users: std::collections::BTreeSet<UserId> = users.iter().copied().filter(|user| *user != without).collect();
    users.into_iter().collect()
}

impl SqlMessaging {
    async fn store_group(&self, tx: &Tx, caller: &Caller, new: &NewGroup, users: &[UserId]) -> Result<ConversationId> {
        let now = self.core.now();
        self.begin_quota().consume(tx, caller.user, 1, now).await?;
        require_unblocked(tx, caller.user, users).await?;
        let row = conversation::ActiveModel {
            id: NotSet,
            kind: Set(ConversationKind::Group),
            name: Set(new.name.trim().to_owned()),
            owner_id: Set(Some(caller.user)),
            pair_low: Set(None),
            pair_high: Set(None),
            last_no: Set(0),
            member_count: Set(1),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let id = db::insert(tx, row).await?.id;
        let owner = member::ActiveModel {
            conversation_id: Set(id),
            user_id: Set(caller.user),
            state: Set(MemberState::Active),
            joined_no: Set(0),
            joined_at: Set(now),
            last_read_no: Set(0),
            cleared_no: Set(0),
            unread_count: Set(0),
            last_message_id: Set(None),
            is_marked_unread: Set(false),
            muted_until: Set(None),
            archived_at: Set(None),
            pinned_at: Set(None),
            draft: Set(None),
            draft_key_id: Set(None),
        };
        db::insert_only(&tx.deferred(), owner).await?;
        let group = Group { id, last_no: 0, member_count: 1 };
        add_members(&self.core, tx, group, caller.user, users, now).await?;
        let access = Access::load(tx, caller.user, id).await?;
        let new = Prepared {
            content: CREATED.to_owned(),
            attachments: Vec::new(),
            has_link: false,
            message_type: TEXT.to_owned(),
            client_id: None,
            reply_to: None,
            is_system: true,
        };
        self.deliver_to_group(tx, &access, caller.user, &new).await?;
        Ok(id)
    }
}

/// 403 if one of these users is blocked by a user, or has blocked them.
async fn require_unblocked(tx: &Tx, user: UserId, others: &[UserId]) -> Result<()> {
    let blocked = blocked_among(tx, user, others.iter().copied()).await?;
    if blocked.is_empty() { Ok(()) } else { Err(Error::Blocked) }
}

#[async_trait]
impl Groups for SqlMessaging {
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Conversation> {
        new.validate()?;
        let (new, users) = (&new, &distinct(&new.user_ids, caller.user));
        self.core.require_active(users).await?;
        let id = self.core.write(|tx| async move { self.store_group(&tx, caller, new, users).await }).await?;
        self.find_conversation(caller.user, id).await
    }

    async fn rename(
        &self,
        caller: &Caller,
        id: ConversationId,
        patch: GroupPatch,
        known: IfMatch,
    ) -> Result<Conversation> {
        patch.validate()?;
        let (name, known, now) = (patch.name.trim(), &known, self.core.now());
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, caller.user, id).await?.require_owner(caller.user)?;
                known.check(access.updated_at)?;
                db::execute(&tx.deferred(), RENAME, [id.into(), name.into(), now.into()]).await?;
                self.core.append(&tx, id, &Frame::ConversationChanged { name, owner_id: access.owner_id }).await
            })
            .await?;
        self.find_conversation(caller.user, id).await
    }

    async fn members(&self, caller: &Caller, id: ConversationId) -> Result<Vec<Member>> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, id).await?;
        let mut rows = member::Entity::find().filter(member::COLUMN.conversation_id.eq(id));
        if !access.is_direct() {
            rows = rows.filter(member::COLUMN.state.is_in([MemberState::Active, MemberState::Requested]));
        }
        let rows = rows
            .order_by_asc(member::Column::JoinedAt)
            .order_by_asc(member::Column::UserId)
            .limit(MAX_MEMBERS as u64)
            .all(conn)
            .await?;
        let people = self.core.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: member::Model| Member {
            user: people.get(&row.user_id).cloned(),
            // In a conversation of two it is not shown whether the other person has accepted it.
            state: if access.is_direct() { MemberState::Active } else { row.state },
            is_owner: access.owner_id == Some(row.user_id),
            joined_at: row.joined_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn add_members(&self, caller: &Caller, id: ConversationId, new: NewMembers) -> Result<Vec<Member>> {
        new.validate()?;
        let (users, now) = (&distinct(&new.user_ids, caller.user), self.core.now());
        // Before the look-up, which would reveal who exists.
        Access::load(self.core.db.conn(), caller.user, id).await?.require_owner(caller.user)?;
        self.core.require_active(users).await?;
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, caller.user, id).await?.require_owner(caller.user)?;
                require_unblocked(&tx, caller.user, users).await?;
                let group = Group { id, last_no: access.last_no, member_count: access.member_count };
                add_members(&self.core, &tx, group, caller.user, users, now).await?;
                db::execute(&tx.deferred(), TOUCH, [id.into(), now.into()]).await?;
                Ok::<_, Error>(())
            })
            .await?;
        self.members(caller, id).await
    }

    async fn remove_member(&self, caller: &Caller, id: ConversationId, user: UserId) -> Result<()> {
        if user == caller.user {
            return self.leave(caller, id).await;
        }
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                Access::load_for_update(&tx, caller.user, id).await?.require_owner(caller.user)?;
                if !end_membership(&tx, id, user, MemberState::Removed).await? {
                    return Err(Error::NotFound("member"));
                }
                db::execute(&tx.deferred(), TOUCH, [id.into(), now.into()]).await?;
                let frame = Frame::MemberRemoved { user_id: user, by: caller.user };
                self.core.append_removal(&tx, id, &frame, user).await?;
                self.core.publish_change(&tx, id, [(user, 0)]).await?;
                self.core.publish_unread(&tx, user).await?;
                Ok(tx.emit(&MemberRemoved { conversation: id, user, actor: caller.user }).await?)
            })
            .await
    }

    async fn leave(&self, caller: &Caller, id: ConversationId) -> Result<()> {
        let (user, now) = (caller.user, self.core.now());
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, user, id).await?.require_group()?;
                end_membership(&tx, id, user, MemberState::Left).await?;
                self.core.append_removal(&tx, id, &Frame::MemberLeft { user_id: user }, user).await?;
                if access.owner_id == Some(user) {
                    replace_owner(&self.core, &tx, id, &access.name, user, now).await?;
                } else {
                    db::execute(&tx.deferred(), TOUCH, [id.into(), now.into()]).await?;
                }
                self.core.publish_change(&tx, id, [(user, 0)]).await?;
                self.core.publish_unread(&tx, user).await?;
                Ok::<_, Error>(tx.emit(&MemberLeft { conversation: id, user }).await?)
            })
            .await
    }

    async fn transfer(&self, caller: &Caller, id: ConversationId, user: UserId) -> Result<Conversation> {
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, caller.user, id).await?.require_owner(caller.user)?;
                if state_of(&tx, id, user).await? != Some(MemberState::Active) {
                    return Err(Error::NotInGroup);
                }
                if user == caller.user { Ok(()) } else { set_owner(&self.core, &tx, id, &access.name, user, now).await }
            })
            .await?;
        self.find_conversation(caller.user, id).await
    }
}
