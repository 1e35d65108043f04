//! A post as pages show it: with its group, its reactions, and what the reader may do with it.

use std::{cmp::Reverse, collections::HashMap};

use guildhall_community::{Attachment, Group, GroupId, PollOption, Post, PostCategory, Visibility};
use guildhall_kernel::{Error, Result};

use crate::{
    html::{Html, escape},
    reader::Reader,
    view::View,
    web::App,
};

/// The kinds of reactions that are words, with their icons and texts.
const WORDS: [(&str, &str, &str); 6] = [
    ("like", "thumbs-up", "reaction-like"),
    ("love", "heart", "reaction-love"),
    ("celebrate", "party-popper", "reaction-celebrate"),
    ("support", "hand-heart", "reaction-support"),
    ("insightful", "lightbulb", "reaction-insightful"),
    ("funny", "laugh", "reaction-funny"),
];
/// The emoji that are shown like those words, in messages.
const EMOJI: [(&str, &str, &str); 6] = [
    ("👍", "thumbs-up", "reaction-like"),
    ("❤️", "heart", "reaction-love"),
    ("🎉", "party-popper", "reaction-celebrate"),
    ("🤝", "hand-heart", "reaction-support"),
    ("💡", "lightbulb", "reaction-insightful"),
    ("😂", "laugh", "reaction-funny"),
];
/// The length of a text above which a feed shows only its beginning, in bytes.
const LONG_TEXT: usize = 1200;

/// A post with what its page needs beside it.
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) post: Post,
    pub(crate) group: Option<Group>,
    /// Whether the reader has written it.
    pub(crate) is_mine: bool,
}

/// A kind of reaction on a post or message.
pub(crate) struct ReactionButton {
    pub(crate) kind: String,
    /// The icon, or the emoji itself.
    pub(crate) face: Html,
    pub(crate) label: String,
    pub(crate) count: i64,
    pub(crate) is_mine: bool,
}

/// The button of a kind of reaction. `kind` is a word or an emoji.
pub(crate) fn reaction_button(view: &View, kind: &str, count: i64, is_mine: bool) -> ReactionButton {
    let known = WORDS.iter().chain(&EMOJI).find(|(name, ..)| *name == kind);
    let (face, label) = match known {
        Some((_, icon, key)) => (view.icon(icon), view.t(key)),
        None => (Html::new(escape(kind)), kind.to_owned()),
    };
    ReactionButton { kind: kind.to_owned(), face, label, count, is_mine }
}

/// The emoji to choose from in messages.
pub(crate) fn emoji_palette(view: &View) -> Vec<ReactionButton> {
    EMOJI.iter().map(|(kind, ..)| reaction_button(view, kind, 0, false)).collect()
}

/// The kinds of reactions to choose from in posts.
pub(crate) fn palette(view: &View) -> Vec<ReactionButton> {
    WORDS.iter().map(|(kind, ..)| reaction_button(view, kind, 0, false)).collect()
}

/// Groups by their ids. Those that were deleted meanwhile are missing.
pub(crate) async fn groups_by_id(
    app: &App,
    reader: &Reader,
    ids: impl Iterator<Item = GroupId>,
) -> Result<HashMap<GroupId, Group>> {
    let mut ids: Vec<GroupId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = app.community.groups.groups_by_id(Some(reader.caller), ids).await.map_err(Error::from)?;
    Ok(found.into_iter().map(|group| (group.id, group)).collect())
}

impl Card {
    /// The posts of a list, with their groups.
    pub(crate) async fn all(app: &App, reader: &Reader, posts: Vec<Post>) -> Result<Vec<Self>> {
        let groups = groups_by_id(app, reader, posts.iter().filter_map(|post| post.group)).await?;
        let card = |post: Post| Self {
            group: post.group.and_then(|id| groups.get(&id).cloned()),
            is_mine: post.author.as_ref().is_some_and(|author| author.id == reader.id()),
            post,
        };
        Ok(posts.into_iter().map(card).collect())
    }

    /// One post.
    pub(crate) async fn one(app: &App, reader: &Reader, post: Post) -> Result<Self> {
        let mut cards = Self::all(app, reader, vec![post]).await?;
        cards.pop().ok_or_else(|| Error::internal("a post was lost"))
    }

    /// The reactions that it has, the most frequent ones first.
    pub(crate) fn reactions(&self, view: &View) -> Vec<ReactionButton> {
        let mine = self.post.my_reaction.as_deref();
        let button = |(kind, count): (&String, &i64)| reaction_button(view, kind, *count, mine == Some(kind.as_str()));
        let mut reactions: Vec<ReactionButton> = self.post.reactions.iter().map(button).collect();
        reactions.sort_by_key(|reaction| Reverse(reaction.count));
        reactions
    }

    /// Whether a feed shows only the beginning.
    pub(crate) fn is_long(&self) -> bool {
        self.post.content.len() > LONG_TEXT || self.post.content.lines().count() > 14
    }

    /// The attached pictures.
    pub(crate) fn pictures(&self) -> Vec<&Attachment> {
        self.post.attachments.iter().filter(|file| file.preview_url.is_some()).collect()
    }

    /// The URL of an attached picture: of its small version if it stands beside others.
    pub(crate) fn picture_url<'a>(&self, picture: &'a Attachment) -> &'a str {
        let is_alone = self.pictures().len() == 1;
        let shown = if is_alone { &picture.medium_url } else { &picture.preview_url };
        shown.as_deref().unwrap_or(&picture.url)
    }

    /// The attached files that are no pictures.
    pub(crate) fn other_files(&self) -> Vec<&Attachment> {
        self.post.attachments.iter().filter(|file| file.preview_url.is_none()).collect()
    }

    /// The text, which was sanitized when it was stored.
    pub(crate) fn content(&self) -> Html {
        Html::new(self.post.content_html.clone())
    }

    /// The first words of the text, as the name of a post without a title.
    pub(crate) fn heading(&self) -> String {
        if !self.post.title.is_empty() {
            return self.post.title.clone();
        }
        let words: Vec<&str> = self.post.content.split_whitespace().take(8).collect();
        words.join(" ").chars().take(80).collect()
    }

    /// Whether the reader moderates its group.
    pub(crate) fn is_moderated_by_me(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.is_moderator)
    }

    /// Whether only its author sees it.
    pub(crate) fn is_private(&self) -> bool {
        self.post.visibility == Visibility::Private
    }

    /// The icon and the name of its category, unless that is the general one.
    pub(crate) fn category(&self, view: &View) -> Option<(Html, String)> {
        let (icon, key) = match self.post.category {
            PostCategory::General => return None,
            PostCategory::Announcement => ("megaphone", "category-announcement"),
            PostCategory::Event => ("calendar", "category-event"),
            PostCategory::JobPosting => ("handshake", "category-job-posting"),
            PostCategory::Resource => ("book-open", "category-resource"),
            PostCategory::Question => ("circle-question-mark", "category-question"),
        };
        Some((view.icon(icon), view.t(key)))
    }

    /// Whether it is an announcement.
    pub(crate) fn is_announcement(&self) -> bool {
        self.post.category == PostCategory::Announcement
    }

    /// The share of an option of its poll, in percent.
    pub(crate) fn share(&self, option: &PollOption) -> i64 {
        let total: i64 = self.votes();
        if total == 0 { 0 } else { option.votes * 100 / total }
    }

    /// The number of votes in its poll.
    pub(crate) fn votes(&self) -> i64 {
        self.post.poll.iter().flat_map(|poll| &poll.options).map(|option| option.votes).sum()
    }

    /// Whether the reader has voted for an option of its poll.
    pub(crate) fn has_voted(&self, option: &PollOption) -> bool {
        self.post.poll.as_ref().is_some_and(|poll| poll.my_votes.contains(&option.position))
    }
}
