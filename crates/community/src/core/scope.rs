//! Read access. Every query for groups, posts, comments, events or courses starts here, so that none forgets to
//! restrict its result to what the viewer may see: lists, counts, searches, single reads and checks before a change.

use guildhall_kernel::{Caller, UserId};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, SelectStatement},
};

use crate::entity::{
    comment, course, enrolment, event, group, group_course,
    membership::{self, Role},
    post,
};

/// The user whose permissions limit a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// An anonymous user.
    Anonymous,
    /// A signed-in user.
    User(UserId),
    /// A member of staff, who sees everything but private posts.
    Staff(UserId),
}

impl From<&Caller> for Viewer {
    fn from(caller: &Caller) -> Self {
        if caller.roles.is_staff() { Self::Staff(caller.user) } else { Self::User(caller.user) }
    }
}

impl Viewer {
    /// The user's id; 0, which no user has, if anonymous.
    pub(crate) fn id(self) -> UserId {
        match self {
            Self::Anonymous => UserId(0),
            Self::User(user) | Self::Staff(user) => user,
        }
    }

    pub(crate) fn kind(self) -> ViewerKind {
        match self {
            Self::Anonymous => ViewerKind::Anonymous,
            Self::User(_) => ViewerKind::User,
            Self::Staff(_) => ViewerKind::Staff,
        }
    }

    /// The ids of a query that depends on the viewer: the user's, unless anonymous, and these. See
    /// [`ViewerKind::split`].
    pub(crate) fn with_ids(self, ids: &[i64]) -> Vec<i64> {
        let user = (self != Self::Anonymous).then_some(self.id().0);
        user.into_iter().chain(ids.iter().copied()).collect()
    }
}

/// The kind of a viewer, which the text of a query depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ViewerKind {
    Anonymous,
    User,
    Staff,
}

impl ViewerKind {
    /// The viewer of this kind with this id.
    pub(crate) fn viewer(self, user: UserId) -> Viewer {
        match self {
            Self::Anonymous => Viewer::Anonymous,
            Self::User => Viewer::User(user),
            Self::Staff => Viewer::Staff(user),
        }
    }

    /// The viewer and the other ids, of those that [`Viewer::with_ids`] returns.
    pub(crate) fn split(self, ids: &[i64]) -> (Viewer, &[i64]) {
        match (self, ids) {
            (Self::User | Self::Staff, [user, ids @ ..]) => (self.viewer(UserId(*user)), ids),
            _ => (Viewer::Anonymous, ids),
        }
    }
}

/// The ids of the groups that a user is a member of.
pub(crate) fn joined_by(user: UserId) -> SelectStatement {
    membership::Entity::find()
        .select_only()
        .column(membership::Column::GroupId)
        .filter(membership::COLUMN.user_id.eq(user))
        .into_query()
}

/// Whether a user is a member of the row's group. A correlated subquery, so that for a user in ten thousand groups
/// not all memberships are read.
fn is_member(user: UserId, group_column: Expr) -> SelectStatement {
    let column = |column| Expr::col((membership::Entity, column));
    membership::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(column(membership::Column::GroupId).eq(group_column))
        .filter(membership::COLUMN.user_id.eq(user))
        .into_query()
}

/// The groups visible to the viewer: public and listed groups, and those they are a member of.
pub(crate) fn visible_groups(viewer: Viewer) -> Select<group::Entity> {
    let groups = group::Entity::find();
    let public = group::COLUMN.is_private.eq(false);
    match viewer {
        Viewer::Anonymous => groups.filter(public),
        Viewer::Staff(_) => groups,
        Viewer::User(user) => groups.filter(
            Condition::any()
                .add(public)
                .add(group::COLUMN.is_listed.eq(true))
                .add(group::Column::Id.in_subquery(joined_by(user))),
        ),
    }
}

/// Whether the group in this column is public. A scalar subquery instead of `EXISTS`: PostgreSQL would turn that into
/// a hash table of all public groups, even for a page of twenty rows.
fn is_public(group_column: Expr) -> Expr {
    let is_private = group::Entity::find()
        .select_only()
        .column(group::Column::IsPrivate)
        .filter(Expr::col((group::Entity, group::Column::Id)).eq(group_column))
        .into_query();
    Expr::from(is_private).eq(false)
}

/// Worded like the predicates of the partial indexes of posts; a bound value would keep the planner from using them.
const IS_PUBLIC: &str = "community_post.is_approved AND community_post.visibility = 'public'";
/// The posts that members of the group may read.
const IS_IN_GROUP: &str = "community_post.is_approved AND community_post.visibility <> 'private'";

/// Public posts, in public groups or outside any group.
fn is_public_post() -> Condition {
    let group_id = || Expr::col((post::Entity, post::Column::GroupId));
    Condition::all()
        .add(Expr::cust(IS_PUBLIC))
        .add(Condition::any().add(group_id().is_null()).add(is_public(group_id())))
}

/// The condition for posts that the viewer may read.
pub(crate) fn visible(viewer: Viewer) -> Condition {
    let user = match viewer {
        // Private posts are visible to their author only, not to staff.
        Viewer::Staff(user) => {
            let own = post::COLUMN.author_id.eq(user);
            return Condition::any().add(own).add(Expr::cust("community_post.visibility <> 'private'"));
        }
        Viewer::Anonymous => return is_public_post(),
        Viewer::User(user) => user,
    };
    let own = post::COLUMN.author_id.eq(user);
    let group_id = || Expr::col((post::Entity, post::Column::GroupId));
    let not_private = Expr::cust("community_post.visibility <> 'private'");
    let is_moderator = membership::COLUMN.role.ne(Role::Member);
    let approved_or_moderator = Condition::any()
        .add(Expr::col((post::Entity, post::Column::IsApproved)))
        .add(Expr::exists(is_member(user, group_id()).and_where(is_moderator).to_owned()));
    let as_member = Condition::all()
        .add(Expr::exists(is_member(user, group_id())))
        .add(Condition::any().add(own.clone()).add(Condition::all().add(not_private).add(approved_or_moderator)));
    // Authors see their own posts, except in a private group that they have left.
    let outside = Condition::any().add(group_id().is_null()).add(is_public(group_id()));
    let as_author = Condition::all().add(own).add(outside);
    Condition::any().add(is_public_post()).add(as_author).add(as_member)
}

/// The posts that the viewer may read.
pub(crate) fn visible_posts(viewer: Viewer) -> Select<post::Entity> {
    post::Entity::find().filter(visible(viewer))
}

/// All posts. The caller has to add a condition that limits access: [`in_group`] or [`visible`].
pub(crate) fn all_posts() -> Select<post::Entity> {
    post::Entity::find()
}

/// The posts that everybody may read.
pub(crate) fn public_posts() -> Select<post::Entity> {
    post::Entity::find().filter(is_public_post())
}

/// The condition for posts that members may read, for posts in groups that the viewer is a member of.
pub(crate) fn in_group() -> Expr {
    Expr::cust(IS_IN_GROUP)
}

/// The comments on posts that the viewer may read.
pub(crate) fn visible_comments(viewer: Viewer) -> Select<comment::Entity> {
    let of_comment =
        Expr::col((post::Entity, post::Column::Id)).eq(Expr::col((comment::Entity, comment::Column::PostId)));
    let posts = visible_posts(viewer).select_only().expr(Expr::val(1)).filter(of_comment);
    comment::Entity::find().filter(Expr::exists(posts.into_query()))
}

/// The events visible to the viewer: those of their groups, and public events of public groups.
pub(crate) fn visible_events(viewer: Viewer) -> Select<event::Entity> {
    let events = event::Entity::find();
    let group_id = Expr::col((event::Entity, event::Column::GroupId));
    let public = Condition::all().add(event::COLUMN.is_public.eq(true)).add(is_public(group_id));
    match viewer {
        Viewer::Staff(_) => events,
        Viewer::Anonymous => events.filter(public),
        Viewer::User(user) => {
            let group_id = Expr::col((event::Entity, event::Column::GroupId));
            events.filter(Condition::any().add(public).add(Expr::exists(is_member(user, group_id))))
        }
    }
}

/// The ids of the courses that a user is enrolled in.
pub(crate) fn enrolled_by(user: UserId) -> SelectStatement {
    enrolment::Entity::find()
        .select_only()
        .column(enrolment::Column::CourseId)
        .filter(enrolment::COLUMN.user_id.eq(user))
        .into_query()
}

/// The links between courses and groups visible to the viewer: those of public groups and of their own groups.
/// A private listed group does not show its courses.
pub(crate) fn visible_links(viewer: Viewer) -> Select<group_course::Entity> {
    let links = group_course::Entity::find();
    let public = is_public(Expr::col((group_course::Entity, group_course::Column::GroupId)));
    match viewer {
        Viewer::Staff(_) => links,
        Viewer::Anonymous => links.filter(public),
        Viewer::User(user) => {
            links.filter(Condition::any().add(public).add(group_course::Column::GroupId.in_subquery(joined_by(user))))
        }
    }
}

/// The courses visible to the viewer: public ones, their own, those of their groups, and those that they are
/// enrolled in.
pub(crate) fn visible_courses(viewer: Viewer) -> Select<course::Entity> {
    let courses = course::Entity::find();
    let public = course::COLUMN.is_public.eq(true);
    let user = match viewer {
        Viewer::Staff(_) => return courses,
        Viewer::Anonymous => return courses.filter(public),
        Viewer::User(user) => user,
    };
    // Correlated subqueries, so that for a user in ten thousand groups not all of their courses are read.
    let course_id = || Expr::col((course::Entity, course::Column::Id));
    let group_id = || Expr::col((group_course::Entity, group_course::Column::GroupId));
    let is_in_group = membership::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(Expr::col((membership::Entity, membership::Column::GroupId)).eq(group_id()))
        .filter(membership::COLUMN.user_id.eq(user));
    let of_own_group = group_course::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(Expr::col((group_course::Entity, group_course::Column::CourseId)).eq(course_id()))
        .filter(Expr::exists(is_in_group.into_query()));
    let is_enrolled = enrolment::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(Expr::col((enrolment::Entity, enrolment::Column::CourseId)).eq(course_id()))
        .filter(enrolment::COLUMN.user_id.eq(user));
    courses.filter(
        Condition::any()
            .add(public)
            .add(course::COLUMN.author_id.eq(user))
            .add(Expr::exists(of_own_group.into_query()))
            .add(Expr::exists(is_enrolled.into_query())),
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Files that may query these tables directly, and why.
    const EXEMPT: [(&str, &str); 3] = [
        ("core/scope.rs", "defines the scope"),
        ("core/rsvps.rs", "removes the RSVPs of a user who loses access"),
        ("removal.rs", "deletes a user's data"),
    ];

    fn check(root: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                check(root, &path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if EXEMPT.iter().any(|(exempt, _)| *exempt == name) || path.extension().is_none_or(|end| end != "rs") {
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            for table in ["post", "event", "course"] {
                let pattern = format!(" {table}::Entity::find()");
                let count = source.matches(&pattern).count();
                assert!(count == 0, "{name} queries {table}s outside the scope ({count} times)");
            }
        }
    }

    #[test]
    fn queries_start_from_the_scope() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert!(EXEMPT.iter().all(|(exempt, _)| root.join(exempt).is_file()));
        check(&root, &root);
    }
}
