//! The JSON responses, with the same members as the server's.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use guildhall_kernel::{PublicUrl, Timestamp};
use serde::Serialize;

use super::{store::Row, tokens::TokenPair};

/// The columns that [`User::read`] expects, in its order.
macro_rules! user {
    () => {
        "SELECT id, username, display_name, first_name, last_name, is_teacher, is_staff, is_superuser, created_at"
    };
}

/// The columns that [`Account::read`] expects, which include those of [`User::read`]. The last one is the version.
macro_rules! account {
    () => {
        concat!(user!(), ", email, email_verified_at, is_active, last_login, updated_at FROM users")
    };
}

pub(super) const PEOPLE: &str = concat!(user!(), " FROM users WHERE erased_at IS NULL");
pub(super) const ACCOUNT: &str = concat!(account!(), " WHERE id = $1 LIMIT 1");
pub(super) const ACCOUNT_VERSION: usize = 13;
pub(super) const USERS: &str =
    concat!(account!(), " WHERE erased_at IS NULL AND is_active = $1 ORDER BY username_key, id LIMIT $2 OFFSET $3");
pub(super) const GROUP_NAME: usize = 1;
pub(super) const GROUP_CREATOR: usize = 8;
pub(super) const GROUP_VERSION: usize = 18;
pub(super) const POST_GROUP: usize = 1;
pub(super) const POST_AUTHOR: usize = 2;
pub(super) const POST_REACTIONS: usize = 14;
pub(super) const POST_CREATED: usize = 16;
pub(super) const POST_VERSION: usize = 17;

pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// One page of a list.
#[derive(Serialize)]
pub(super) struct Page<T> {
    pub(super) count: i64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) count_capped: bool,
    pub(super) next: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) results: Vec<T>,
}

/// The public view of a user.
#[derive(Serialize)]
pub(super) struct User {
    pub(super) id: i64,
    username: String,
    display_name: String,
    first_name: String,
    last_name: String,
    avatar_url: Option<String>,
    roles: Vec<&'static str>,
    date_joined: Timestamp,
}

impl User {
    pub(super) fn read(row: &Row) -> sqlx::Result<Self> {
        let (username, display_name): (String, String) = (row.get(1)?, row.get(2)?);
        let (first_name, last_name): (String, String) = (row.get(3)?, row.get(4)?);
        let full_name = format!("{first_name} {last_name}");
        let candidates = [display_name.as_str(), full_name.trim(), username.as_str()];
        let display_name = candidates.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned();
        let mut roles = Vec::new();
        for (column, role) in [(5, "teacher"), (6, "staff"), (7, "superuser")] {
            if row.get(column)? {
                roles.push(role);
            }
        }
        let (id, date_joined) = (row.get(0)?, timestamp(row.get(8)?));
        Ok(Self { id, username, display_name, first_name, last_name, avatar_url: None, roles, date_joined })
    }
}

/// The view of one's own account.
#[derive(Serialize)]
pub(super) struct Account {
    #[serde(flatten)]
    user: User,
    email: String,
    email_verified: bool,
    is_active: bool,
    last_login: Option<Timestamp>,
}

impl Account {
    pub(super) fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            user: User::read(row)?,
            email: row.get(9)?,
            email_verified: row.get::<Option<i64>>(10)?.is_some(),
            is_active: row.get(11)?,
            last_login: row.get::<Option<i64>>(12)?.map(timestamp),
        })
    }
}

/// The response to a sign-in.
#[derive(Serialize)]
pub(super) struct SignedIn {
    #[serde(flatten)]
    pub(super) tokens: TokenPair,
    pub(super) user: Account,
}

/// A user embedded in another object.
#[derive(Clone, Serialize)]
pub(super) struct Person {
    id: i64,
    username: String,
    display_name: String,
    avatar_url: Option<String>,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        Self { id: user.id, username: user.username, display_name: user.display_name, avatar_url: user.avatar_url }
    }
}

/// A group as the caller sees it.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of JSON fields")]
pub(super) struct Group {
    id: i64,
    name: String,
    slug: String,
    description: String,
    category: String,
    is_private: bool,
    is_listed: bool,
    is_corporate_group: bool,
    image_url: String,
    image_urls: Option<String>,
    banner_url: Option<String>,
    banner_urls: Option<String>,
    creator: Option<Person>,
    owner: Option<Person>,
    member_count: i64,
    post_count: i64,
    max_members: Option<i64>,
    posting: String,
    approves_posts: bool,
    members_invite: bool,
    is_member: bool,
    is_moderator: bool,
    moderators: Vec<i64>,
    courses: Vec<i64>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Related data of groups, by group id.
#[derive(Default)]
pub(super) struct GroupDetails {
    pub(super) people: HashMap<i64, Person>,
    pub(super) moderators: HashMap<i64, Vec<i64>>,
    pub(super) owners: HashMap<i64, i64>,
    pub(super) courses: HashMap<i64, Vec<i64>>,
}

impl Group {
    /// From the group's columns and the caller's role.
    pub(super) fn read(row: &Row, details: &mut GroupDetails, url: &PublicUrl) -> sqlx::Result<Self> {
        let (id, name): (i64, String) = (row.get(0)?, row.get(GROUP_NAME)?);
        let initials: String = name.split(' ').filter_map(|word| word.chars().next()).take(2).collect();
        let hue = id.wrapping_mul(137).rem_euclid(360);
        let role: Option<String> = row.get(19)?;
        let mut moderators = details.moderators.remove(&id).unwrap_or_default();
        moderators.sort_unstable();
        let creator = row.get::<Option<i64>>(GROUP_CREATOR)?;
        Ok(Self {
            id,
            image_url: url.join(&format!("/api/community/pictures/{initials}-{hue}.svg")),
            image_urls: None,
            banner_url: None,
            banner_urls: None,
            name,
            slug: row.get(2)?,
            description: row.get(3)?,
            category: row.get(4)?,
            is_private: row.get(5)?,
            is_listed: row.get(6)?,
            is_corporate_group: row.get(7)?,
            creator: creator.and_then(|id| details.people.get(&id).cloned()),
            owner: details.owners.get(&id).and_then(|id| details.people.get(id).cloned()),
            max_members: row.get(9)?,
            posting: row.get(10)?,
            approves_posts: row.get(11)?,
            members_invite: row.get(12)?,
            member_count: row.get(13)?,
            post_count: row.get(14)?,
            is_member: role.is_some(),
            is_moderator: role.is_some_and(|role| role != "member"),
            moderators,
            courses: details.courses.remove(&id).unwrap_or_default(),
            created_at: timestamp(row.get(17)?),
            updated_at: timestamp(row.get(GROUP_VERSION)?),
        })
    }
}

/// A page of a feed.
#[derive(Serialize)]
pub(super) struct CursorPage<T> {
    pub(super) next: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) results: Vec<T>,
}

/// A post as the caller sees it. All posts have only text.
#[derive(Serialize)]
pub(super) struct Post {
    pub(super) id: i64,
    group: Option<i64>,
    author: Option<Person>,
    title: String,
    content: String,
    content_html: String,
    visibility: String,
    category: String,
    tags: [String; 0],
    attachments: [String; 0],
    link_previews: [String; 0],
    mentions: [String; 0],
    poll: Option<String>,
    reactions: BTreeMap<String, i64>,
    my_reaction: Option<String>,
    comment_count: i64,
    is_bookmarked: bool,
    is_pinned: bool,
    is_featured: bool,
    is_locked: bool,
    is_approved: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Post {
    /// From the post's columns, the caller's reaction and bookmark.
    pub(super) fn read(row: &Row, people: &HashMap<i64, Person>) -> sqlx::Result<Self> {
        let author = row.get::<Option<i64>>(POST_AUTHOR)?;
        Ok(Self {
            id: row.get(0)?,
            group: row.get(POST_GROUP)?,
            author: author.and_then(|id| people.get(&id).cloned()),
            title: row.get(3)?,
            content: row.get(4)?,
            content_html: row.get(5)?,
            visibility: row.get(6)?,
            category: row.get(7)?,
            tags: [],
            attachments: [],
            link_previews: [],
            mentions: [],
            poll: None,
            reactions: reactions(row)?,
            my_reaction: row.get(18)?,
            comment_count: row.get(13)?,
            is_bookmarked: row.get::<Option<i64>>(19)?.is_some(),
            is_pinned: row.get(9)?,
            is_featured: row.get(10)?,
            is_locked: row.get(11)?,
            is_approved: row.get(8)?,
            created_at: timestamp(row.get(POST_CREATED)?),
            updated_at: timestamp(row.get(POST_VERSION)?),
        })
    }
}

/// The number of reactions of each kind.
pub(super) fn reactions(post: &Row) -> sqlx::Result<BTreeMap<String, i64>> {
    Ok(serde_json::from_str(&post.get::<String>(POST_REACTIONS)?).unwrap_or_default())
}

/// The results of a search.
#[derive(Serialize)]
pub(super) struct SearchResults {
    pub(super) groups: Vec<Group>,
    pub(super) posts: Vec<Post>,
    pub(super) members: Vec<Person>,
}
