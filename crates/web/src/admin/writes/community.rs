//! The changes of groups, their members and posts.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_admin::{Key, NewColumn, StoredRow, TableWrites};
use guildhall_community::{CommentId, CommunityState, GroupId, PostId};
use guildhall_kernel::{Caller, Error, IfMatch, Result, UserId};
use serde_json::{Map, Value};

use super::{take_id, typed};

pub(super) fn writes(community: &CommunityState) -> Vec<Arc<dyn TableWrites>> {
    vec![
        Arc::new(Groups(community.clone())),
        Arc::new(Memberships(community.clone())),
        Arc::new(Bans(community.clone())),
        Arc::new(Posts(community.clone())),
        Arc::new(Comments(community.clone())),
    ]
}

struct Groups(CommunityState);

#[async_trait]
impl TableWrites for Groups {
    fn table(&self) -> &'static str {
        "community_group"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const {
            &[
                NewColumn::required("name"),
                NewColumn::optional("description"),
                NewColumn::optional("category"),
                NewColumn::optional("is_private"),
                NewColumn::optional("is_listed"),
                NewColumn::optional("is_corporate_group"),
                NewColumn::optional("max_members"),
                NewColumn::optional("approves_posts"),
                NewColumn::optional("members_invite"),
            ]
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &[
            "name",
            "description",
            "category",
            "is_private",
            "is_listed",
            "is_corporate_group",
            "max_members",
            "approves_posts",
            "members_invite",
        ]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> Result<Key> {
        Ok(Key::of_id(self.0.groups.create_group(caller, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = GroupId(row.id("id")?);
        self.0.groups.change_group(caller, id, typed(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = GroupId(row.id("id")?);
        Ok(self.0.groups.delete_group(caller, id, IfMatch::default()).await?)
    }
}

struct Memberships(CommunityState);

#[async_trait]
impl TableWrites for Memberships {
    fn table(&self) -> &'static str {
        "community_membership"
    }

    fn columns(&self) -> &'static [&'static str] {
        &["role"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let (group, user) = (GroupId(row.id("group_id")?), UserId(row.id("user_id")?));
        let members = &self.0.members;
        match changes.get("role").and_then(Value::as_str) {
            Some("owner") => members.transfer(caller, group, user).await.map(drop)?,
            Some("moderator") => members.add_moderator(caller, group, user).await.map(drop)?,
            Some("member") => members.remove_moderator(caller, group, user).await?,
            _ => return Err(Error::field("role", "Use owner, moderator or member.")),
        }
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let (group, user) = (GroupId(row.id("group_id")?), UserId(row.id("user_id")?));
        Ok(self.0.members.remove_member(caller, group, user).await?)
    }
}

struct Bans(CommunityState);

#[async_trait]
impl TableWrites for Bans {
    fn table(&self) -> &'static str {
        "community_ban"
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let (group, user) = (GroupId(row.id("group_id")?), UserId(row.id("user_id")?));
        Ok(self.0.moderation.unban(caller, group, user).await?)
    }
}

struct Posts(CommunityState);

#[async_trait]
impl TableWrites for Posts {
    fn table(&self) -> &'static str {
        "community_post"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::optional("group_id"), NewColumn::optional("title"), NewColumn::required("content")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "content", "is_pinned", "is_approved"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> Result<Key> {
        Ok(Key::of_id(self.0.posts.create_post(caller, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, mut changes: Map<String, Value>) -> Result<()> {
        let id = PostId(row.id("id")?);
        let is_approved = changes.remove("is_approved").and_then(|approved| approved.as_bool());
        if is_approved == Some(false) {
            return Err(Error::field("is_approved", "A post that is approved stays approved."));
        }
        // First what can be refused, so that nothing is half done: staff may approve every post that waits, but not
        // change every text.
        if !changes.is_empty() {
            self.0.posts.change_post(caller, id, typed(changes)?, row.version()).await?;
        }
        if is_approved == Some(true) {
            self.0.reviews.decide_post(caller, id, true).await?;
        }
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = PostId(row.id("id")?);
        Ok(self.0.posts.delete_post(caller, id, IfMatch::default()).await?)
    }
}

struct Comments(CommunityState);

#[async_trait]
impl TableWrites for Comments {
    fn table(&self) -> &'static str {
        "community_comment"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("post_id"), NewColumn::required("content")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["content"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let post = PostId(take_id(&mut values, "post_id")?);
        Ok(Key::of_id(self.0.comments.create_comment(caller, post, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = CommentId(row.id("id")?);
        self.0.comments.change_comment(caller, id, typed(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = CommentId(row.id("id")?);
        Ok(self.0.comments.delete_comment(caller, id).await?)
    }
}
