//! The changes of groups and what is in them.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_admin::{StoredRow, TableWrites};
use guildhall_community::{CommentId, CommunityState, CourseId, EventId, GroupId, PostId};
use guildhall_kernel::{Caller, Error, IfMatch, Result, UserId};
use serde_json::{Map, Value};

use super::patch;

pub(super) fn writes(community: &CommunityState) -> Vec<Arc<dyn TableWrites>> {
    vec![
        Arc::new(Groups(community.clone())),
        Arc::new(Memberships(community.clone())),
        Arc::new(Bans(community.clone())),
        Arc::new(Posts(community.clone())),
        Arc::new(Comments(community.clone())),
        Arc::new(Courses(community.clone())),
        Arc::new(Events(community.clone())),
    ]
}

struct Groups(CommunityState);

#[async_trait]
impl TableWrites for Groups {
    fn table(&self) -> &'static str {
        "community_group"
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

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = GroupId(row.id("id")?);
        self.0.groups.change_group(caller, id, patch(changes)?, row.version()).await?;
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

    fn deletes(&self) -> bool {
        true
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

    fn columns(&self) -> &'static [&'static str] {
        &["title", "content", "is_pinned", "is_approved"]
    }

    fn deletes(&self) -> bool {
        true
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
            self.0.posts.change_post(caller, id, patch(changes)?, row.version()).await?;
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

    fn columns(&self) -> &'static [&'static str] {
        &["content"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = CommentId(row.id("id")?);
        self.0.comments.change_comment(caller, id, patch(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = CommentId(row.id("id")?);
        Ok(self.0.comments.delete_comment(caller, id).await?)
    }
}

struct Courses(CommunityState);

#[async_trait]
impl TableWrites for Courses {
    fn table(&self) -> &'static str {
        "community_course"
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "description", "is_public"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = CourseId(row.id("id")?);
        self.0.courses.change_course(caller, id, patch(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = CourseId(row.id("id")?);
        Ok(self.0.courses.delete_course(caller, id, IfMatch::default()).await?)
    }
}

struct Events(CommunityState);

#[async_trait]
impl TableWrites for Events {
    fn table(&self) -> &'static str {
        "community_event"
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "description", "location"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = EventId(row.id("id")?);
        self.0.events.change_event(caller, id, patch(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = EventId(row.id("id")?);
        Ok(self.0.events.delete_event(caller, id, IfMatch::default()).await?)
    }
}
