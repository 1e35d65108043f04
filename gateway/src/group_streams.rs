//! Streams of groups, which notify members that the feed has changed.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_community::{
    GroupId, Groups,
    event::{GroupChanged, GroupDeleted, MemberLeft, MemberRemoved, PostApproved, PostCreated, UserBanned},
};
use guildhall_kernel::{
    Caller, Error, Result, UserId,
    db::Tx,
    event::{Emitted, Event, Subscriber},
};
use guildhall_realtime::{Seq, StreamHandler, StreamName, Streams};
use serde_json::json;

/// The kind of the streams.
const KIND: &str = "group";

fn stream(group: GroupId) -> StreamName {
    StreamName::new(KIND, group.0)
}

/// Members, and for public groups everybody, may follow the stream of a group.
pub(crate) struct GroupAccess(pub(crate) Arc<dyn Groups>);

#[async_trait]
impl StreamHandler for GroupAccess {
    fn kinds(&self) -> Vec<&'static str> {
        vec![KIND]
    }

    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        let Some(id) = stream.id() else { return Ok(None) };
        let group = self.0.group(Some(*caller), GroupId(id)).await.map_err(Error::from)?;
        let may_read = !group.is_private || group.is_member || caller.roles.is_staff();
        Ok(may_read.then_some(0))
    }
}

/// Appends to the streams of groups. The events contain no post: who follows a stream asks for those that they may
/// read.
pub(crate) struct GroupStreams(pub(crate) Streams);

/// The group and the user whose membership has ended. Of a public group they can still read the posts.
fn former_member(event: &Emitted) -> Result<Option<(GroupId, UserId)>> {
    let left = event.read::<MemberLeft>()?.map(|event| (event.group, event.user));
    let removed = event.read::<MemberRemoved>()?.map(|event| (event.group, event.user));
    let banned = event.read::<UserBanned>()?.map(|event| (event.group, event.user));
    Ok(left.or(removed).or(banned))
}

#[async_trait]
impl Subscriber for GroupStreams {
    fn name(&self) -> &'static str {
        "realtime.groups"
    }

    fn events(&self) -> Vec<&'static str> {
        vec![
            PostCreated::NAME,
            PostApproved::NAME,
            MemberLeft::NAME,
            MemberRemoved::NAME,
            UserBanned::NAME,
            GroupChanged::NAME,
            GroupDeleted::NAME,
        ]
    }

    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()> {
        let created = event.read::<PostCreated>()?.filter(|event| event.is_approved).and_then(|event| event.group);
        let approved = event.read::<PostApproved>()?.map(|event| event.group);
        if let Some(group) = created.or(approved) {
            self.0.append(tx, &stream(group), &json!({ "type": "feed_changed" })).await?;
        }
        if let Some((group, user)) = former_member(event)? {
            self.0.append_check_of(tx, &stream(group), user).await?;
        }
        if let Some(changed) = event.read::<GroupChanged>()?.filter(|event| event.became_private) {
            self.0.append_check(tx, &stream(changed.group)).await?;
        }
        if let Some(deleted) = event.read::<GroupDeleted>()? {
            self.0.delete(tx, [stream(deleted.group)]).await?;
        }
        Ok(())
    }
}
