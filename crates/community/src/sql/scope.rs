//! Who may read what. Every read of a group, a post, a comment, an event or a course starts here, so that no
//! query forgets who is asking: lists, counts, searches, single reads and the checks before a change alike.

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

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// Nobody who is signed in.
    Nobody,
    /// Somebody.
    Person(UserId),
    /// Somebody who sees everything.
    Staff(UserId),
}

impl From<&Caller> for Viewer {
    fn from(caller: &Caller) -> Self {
        if caller.roles.is_staff() { Self::Staff(caller.user) } else { Self::Person(caller.user) }
    }
}

impl Viewer {
    /// Their id; nobody has the id 0.
    pub(crate) fn id(self) -> UserId {
        match self {
            Self::Nobody => UserId(0),
            Self::Person(user) | Self::Staff(user) => user,
        }
    }
}

/// The groups that somebody is in.
pub(crate) fn joined_by(user: UserId) -> SelectStatement {
    membership::Entity::find()
        .select_only()
        .column(membership::Column::GroupId)
        .filter(membership::COLUMN.user_id.eq(user))
        .into_query()
}

/// Is somebody in the group of a row? Probed row by row, so that whoever is in ten thousand groups does not
/// have them all read for one post.
fn is_member(user: UserId, group_column: Expr) -> SelectStatement {
    let seat = |column| Expr::col((membership::Entity, column));
    membership::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(seat(membership::Column::GroupId).eq(group_column))
        .filter(membership::COLUMN.user_id.eq(user))
        .into_query()
}

/// The groups that the viewer may know of: public ones, those that show their card, and their own.
pub(crate) fn known_groups(viewer: Viewer) -> Select<group::Entity> {
    let groups = group::Entity::find();
    let public = group::COLUMN.is_private.eq(false);
    match viewer {
        Viewer::Nobody => groups.filter(public),
        Viewer::Staff(_) => groups,
        Viewer::Person(user) => groups.filter(
            Condition::any()
                .add(public)
                .add(group::COLUMN.is_listed.eq(true))
                .add(group::Column::Id.in_subquery(joined_by(user))),
        ),
    }
}

/// Is the group with the number in this column public? Asked as a value and not as `EXISTS`, of which
/// PostgreSQL would make a table of all public groups, for a page of twenty rows.
fn is_public(group_column: Expr) -> Expr {
    let is_private = group::Entity::find()
        .select_only()
        .column(group::Column::IsPrivate)
        .filter(Expr::col((group::Entity, group::Column::Id)).eq(group_column))
        .into_query();
    Expr::from(is_private).eq(false)
}

/// As the partial indexes of posts have it: a bound value would prove nothing to a planner.
const IS_PUBLIC: &str = "community_post.is_approved AND community_post.visibility = 'public'";
/// The same for what the members of its group read.
const IS_IN_GROUP: &str = "community_post.is_approved AND community_post.visibility <> 'private'";

/// What everybody may read: public posts, of public groups or of none.
fn open_to_all() -> Condition {
    let group_id = || Expr::col((post::Entity, post::Column::GroupId));
    Condition::all()
        .add(Expr::cust(IS_PUBLIC))
        .add(Condition::any().add(group_id().is_null()).add(is_public(group_id())))
}

/// What the viewer may read, as a condition on posts.
pub(crate) fn visible(viewer: Viewer) -> Condition {
    let user = match viewer {
        // Private is private: nobody's but its author's.
        Viewer::Staff(user) => {
            let own = post::COLUMN.author_id.eq(user);
            return Condition::any().add(own).add(Expr::cust("community_post.visibility <> 'private'"));
        }
        Viewer::Nobody => return open_to_all(),
        Viewer::Person(user) => user,
    };
    let own = post::COLUMN.author_id.eq(user);
    let group_id = || Expr::col((post::Entity, post::Column::GroupId));
    let not_private = Expr::cust("community_post.visibility <> 'private'");
    let looks_after = membership::COLUMN.role.ne(Role::Member);
    let let_through = Condition::any()
        .add(Expr::col((post::Entity, post::Column::IsApproved)))
        .add(Expr::exists(is_member(user, group_id()).and_where(looks_after).to_owned()));
    let as_member = Condition::all()
        .add(Expr::exists(is_member(user, group_id())))
        .add(Condition::any().add(own.clone()).add(Condition::all().add(not_private).add(let_through)));
    // One's own, but not in a private group that one is no longer in.
    let outside = Condition::any().add(group_id().is_null()).add(is_public(group_id()));
    let as_author = Condition::all().add(own).add(outside);
    Condition::any().add(open_to_all()).add(as_author).add(as_member)
}

/// The posts that the viewer may read.
pub(crate) fn visible_posts(viewer: Viewer) -> Select<post::Entity> {
    post::Entity::find().filter(visible(viewer))
}

/// All posts, for a condition that says by itself who may read them: [`in_group`] or [`visible`].
pub(crate) fn all_posts() -> Select<post::Entity> {
    post::Entity::find()
}

/// The posts that everybody may read, whoever asks.
pub(crate) fn public_posts() -> Select<post::Entity> {
    post::Entity::find().filter(open_to_all())
}

/// What the members of a group read in it, as a condition on posts of groups that the viewer is in.
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

/// The events that the viewer may know of: those of their groups, and public ones of public groups.
pub(crate) fn visible_events(viewer: Viewer) -> Select<event::Entity> {
    let events = event::Entity::find();
    let group_id = Expr::col((event::Entity, event::Column::GroupId));
    let public = Condition::all().add(event::COLUMN.is_public.eq(true)).add(is_public(group_id));
    match viewer {
        Viewer::Staff(_) => events,
        Viewer::Nobody => events.filter(public),
        Viewer::Person(user) => {
            let group_id = Expr::col((event::Entity, event::Column::GroupId));
            events.filter(Condition::any().add(public).add(Expr::exists(is_member(user, group_id))))
        }
    }
}

/// The courses that somebody takes.
pub(crate) fn taken_by(user: UserId) -> SelectStatement {
    enrolment::Entity::find()
        .select_only()
        .column(enrolment::Column::CourseId)
        .filter(enrolment::COLUMN.user_id.eq(user))
        .into_query()
}

/// That courses belong to groups, as far as the viewer may look into the groups: public ones and their own.
/// A private group that shows its card does not show its courses.
pub(crate) fn visible_links(viewer: Viewer) -> Select<group_course::Entity> {
    let links = group_course::Entity::find();
    let public = is_public(Expr::col((group_course::Entity, group_course::Column::GroupId)));
    match viewer {
        Viewer::Staff(_) => links,
        Viewer::Nobody => links.filter(public),
        Viewer::Person(user) => {
            links.filter(Condition::any().add(public).add(group_course::Column::GroupId.in_subquery(joined_by(user))))
        }
    }
}

/// The courses that the viewer may know of: public ones, their own, those of their groups, and those that
/// they take.
pub(crate) fn visible_courses(viewer: Viewer) -> Select<course::Entity> {
    let courses = course::Entity::find();
    let public = course::COLUMN.is_public.eq(true);
    let user = match viewer {
        Viewer::Staff(_) => return courses,
        Viewer::Nobody => return courses.filter(public),
        Viewer::Person(user) => user,
    };
    // Course by course: whoever is in ten thousand groups should not have all of their courses read for a
    // page of twenty.
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
    let taken = enrolment::Entity::find()
        .select_only()
        .expr(Expr::val(1))
        .filter(Expr::col((enrolment::Entity, enrolment::Column::CourseId)).eq(course_id()))
        .filter(enrolment::COLUMN.user_id.eq(user));
    courses.filter(
        Condition::any()
            .add(public)
            .add(course::COLUMN.author_id.eq(user))
            .add(Expr::exists(of_own_group.into_query()))
            .add(Expr::exists(taken.into_query())),
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// What is found another way: by the scope's own pieces, and for the person whose things they are.
    const EXCEPT: [(&str, &str); 3] = [
        ("scope.rs", "the scope itself"),
        ("removal.rs", "what somebody takes along"),
        ("rsvps.rs", "the events whose answers go when somebody does"),
    ];

    #[test]
    fn nothing_is_listed_past_the_scope() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql");
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if EXCEPT.iter().any(|(except, _)| *except == name) {
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            for table in ["post", "event", "course"] {
                let listed = format!(" {table}::Entity::find()");
                let found = source.matches(&listed).count();
                assert!(found == 0, "{name} lists {table}s past the scope ({found} times)");
            }
        }
    }
}
