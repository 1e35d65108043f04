//! Notifications of posts, comments, reactions and groups.

use std::collections::HashSet;

use async_trait::async_trait;
use guildhall_community::{
    GroupId, PostId, SqlCommunity,
    event::{CommentCreated, JoinRequestDecided, JoinRequested, PostApproved, ReactionSet, UserInvited, UserMentioned},
};
use guildhall_kernel::{
    Result, UserId,
    db::Tx,
    event::{Emitted, Event},
};
use guildhall_notifications::{NewNotification, NotificationKind, Source, Target};

/// The kinds of targets.
const POST: &str = "post";
const GROUP: &str = "group";
/// The requests to join a group, which only its moderators may see. The id is that of the group.
const GROUP_REQUESTS: &str = "group_requests";

/// Notifies users of the events of the community.
pub(crate) struct CommunitySource(pub(crate) SqlCommunity);

/// A notification about a post.
fn about_post(
    recipient: UserId,
    kind: NotificationKind,
    actor: Option<UserId>,
    post: PostId,
    subject: String,
) -> NewNotification {
    let target = Target { kind: POST.to_owned(), id: post.0, url: format!("/community/posts/{post}/") };
    NewNotification { recipient, kind, actor, target: Some(target), group_key: format!("post/{post}"), subject }
}

/// A notification about a group, or about the requests to join it.
fn about_group(
    recipient: UserId,
    kind: NotificationKind,
    actor: Option<UserId>,
    (target_kind, group): (&str, GroupId),
    name: &str,
) -> NewNotification {
    let page = if target_kind == GROUP_REQUESTS { "requests/" } else { "" };
    let url = format!("/community/groups/{group}/{page}");
    let target = Target { kind: target_kind.to_owned(), id: group.0, url };
    let subject = format!("the group “{name}”");
    NewNotification { recipient, kind, actor, target: Some(target), group_key: format!("group/{group}"), subject }
}

/// `your post “Hello”`; without the title, if the post has none.
fn titled(post: &str, title: &str) -> String {
    if title.is_empty() { post.to_owned() } else { format!("{post} “{title}”") }
}

/// `your comment on “Hello”`; without the title, if the post has none.
fn comment_on(comment: &str, title: &str) -> String {
    if title.is_empty() { comment.to_owned() } else { format!("{comment} on “{title}”") }
}

impl CommunitySource {
    async fn mentioned(&self, tx: &Tx, event: UserMentioned) -> Result<Vec<NewNotification>> {
        let (actor, subject) = if let Some(comment) = event.comment {
            let Some(comment) = self.0.comment_summary(tx, comment).await? else { return Ok(Vec::new()) };
            (comment.author, comment_on("a comment", &comment.post_title))
        } else {
            // Nobody else can read a post that is not approved yet; its approval notifies those whom it mentions.
            let post = self.0.post_summary(tx, event.post).await?.filter(|post| post.is_approved);
            let Some(post) = post else { return Ok(Vec::new()) };
            (post.author, titled("the post", &post.title))
        };
        Ok(vec![about_post(event.user, NotificationKind::Mention, actor, event.post, subject)])
    }

    async fn approved(&self, tx: &Tx, event: PostApproved) -> Result<Vec<NewNotification>> {
        let Some(post) = self.0.post_summary(tx, event.post).await? else { return Ok(Vec::new()) };
        let mentioned = self.0.mentioned_in_post(tx, event.post).await?.into_iter();
        let subject = titled("the post", &post.title);
        let mention = |user| about_post(user, NotificationKind::Mention, post.author, event.post, subject.clone());
        Ok(mentioned.map(mention).collect())
    }

    /// Notifies the author of the comment that is replied to; and the author of the post, unless it is the same person.
    async fn commented(&self, tx: &Tx, event: CommentCreated) -> Result<Vec<NewNotification>> {
        let Some(comment) = self.0.comment_summary(tx, event.comment).await? else { return Ok(Vec::new()) };
        let (actor, title) = (Some(event.author), &comment.post_title);
        let reply =
            |user| about_post(user, NotificationKind::Reply, actor, event.post, comment_on("your comment", title));
        let on_post = |user| about_post(user, NotificationKind::Comment, actor, event.post, titled("your post", title));
        let post_author = comment.post_author.filter(|author| comment.parent_author != Some(*author));
        Ok(comment.parent_author.map(reply).into_iter().chain(post_author.map(on_post)).collect())
    }

    async fn reacted(&self, tx: &Tx, event: ReactionSet) -> Result<Vec<NewNotification>> {
        let Some(post) = self.0.post_summary(tx, event.post).await? else { return Ok(Vec::new()) };
        let subject = titled("your post", &post.title);
        let reaction = |author| about_post(author, NotificationKind::Reaction, Some(event.user), event.post, subject);
        Ok(post.author.map(reaction).into_iter().collect())
    }

    async fn invited(&self, tx: &Tx, event: UserInvited) -> Result<Vec<NewNotification>> {
        let Some(user) = event.user else { return Ok(Vec::new()) };
        let Some(name) = self.0.group_name(tx, event.group).await? else { return Ok(Vec::new()) };
        let target = (GROUP, event.group);
        Ok(vec![about_group(user, NotificationKind::GroupInvite, Some(event.actor), target, &name)])
    }

    async fn requested(&self, tx: &Tx, event: JoinRequested) -> Result<Vec<NewNotification>> {
        let Some(name) = self.0.group_name(tx, event.group).await? else { return Ok(Vec::new()) };
        let moderators = self.0.moderators_of(tx, event.group).await?.into_iter();
        let target = (GROUP_REQUESTS, event.group);
        let request =
            |moderator| about_group(moderator, NotificationKind::JoinRequest, Some(event.user), target, &name);
        Ok(moderators.map(request).collect())
    }

    async fn decided(&self, tx: &Tx, event: JoinRequestDecided) -> Result<Vec<NewNotification>> {
        if !event.is_approved {
            return Ok(Vec::new());
        }
        let Some(name) = self.0.group_name(tx, event.group).await? else { return Ok(Vec::new()) };
        let (kind, target) = (NotificationKind::RequestApproved, (GROUP, event.group));
        Ok(vec![about_group(event.user, kind, Some(event.actor), target, &name)])
    }
}

#[async_trait]
impl Source for CommunitySource {
    fn events(&self) -> Vec<&'static str> {
        vec![
            UserMentioned::NAME,
            PostApproved::NAME,
            CommentCreated::NAME,
            ReactionSet::NAME,
            UserInvited::NAME,
            JoinRequested::NAME,
            JoinRequestDecided::NAME,
        ]
    }

    fn targets(&self) -> Vec<&'static str> {
        vec![POST, GROUP, GROUP_REQUESTS]
    }

    async fn notifications(&self, tx: &Tx, event: &Emitted) -> Result<Vec<NewNotification>> {
        if let Some(event) = event.read()? {
            return self.mentioned(tx, event).await;
        }
        if let Some(event) = event.read()? {
            return self.approved(tx, event).await;
        }
        if let Some(event) = event.read()? {
            return self.commented(tx, event).await;
        }
        if let Some(event) = event.read()? {
            return self.reacted(tx, event).await;
        }
        if let Some(event) = event.read()? {
            return self.invited(tx, event).await;
        }
        if let Some(event) = event.read()? {
            return self.requested(tx, event).await;
        }
        match event.read()? {
            Some(event) => self.decided(tx, event).await,
            None => Ok(Vec::new()),
        }
    }

    async fn may_see(&self, user: UserId, kind: &str, ids: &[i64]) -> Result<HashSet<i64>> {
        let ids = ids.iter().copied();
        Ok(match kind {
            POST => {
                let ids: Vec<PostId> = ids.map(PostId).collect();
                self.0.readable_posts(user, &ids).await?.into_iter().map(|id| id.0).collect()
            }
            GROUP => {
                let ids: Vec<GroupId> = ids.map(GroupId).collect();
                self.0.visible_groups(user, &ids).await?.into_iter().map(|id| id.0).collect()
            }
            GROUP_REQUESTS => {
                let ids: Vec<GroupId> = ids.map(GroupId).collect();
                self.0.moderated_groups(user, &ids).await?.into_iter().map(|id| id.0).collect()
            }
            _ => HashSet::new(),
        })
    }
}
