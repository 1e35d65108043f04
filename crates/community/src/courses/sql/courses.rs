//! Creating, listing, changing and deleting courses, and the courses of groups.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Set,
    sea_query::{Alias, Expr, ExprTrait, Order, Query},
};

use super::{
    SqlCourses,
    access::{find_course, is_author, lock_own_course},
    enrolments::enrolments_of,
};
use crate::{
    core::{
        access::GroupAccess,
        scope::{Viewer, enrolled_by, visible_courses, visible_links},
    },
    courses::{Course, CourseFilter, CourseIds, CoursePatch, Courses, MAX_GROUP_COURSES, NewCourse},
    entity::{course, group_course},
    error::{Error, Result},
    id::{CourseId, GroupId},
    markdown,
};

/// How many groups of a course are shown at most. Anybody can add a public course to their own groups.
const MAX_GROUPS: i64 = 100;

/// The rank of a group among the groups of a course.
const GROUP_RANK: &str = "ROW_NUMBER() OVER (PARTITION BY community_group_course.course_id \
     ORDER BY community_group_course.group_id)";

/// A group that a course belongs to.
#[derive(FromQueryResult)]
struct GroupOfCourse {
    course_id: CourseId,
    group_id: GroupId,
}

/// The groups of these courses, as far as the viewer may read them.
async fn groups_of(
    conn: &impl ConnectionTrait,
    courses: &[CourseId],
    viewer: Viewer,
) -> Result<HashMap<CourseId, Vec<GroupId>>> {
    let links = visible_links(viewer)
        .select_only()
        .column(group_course::Column::CourseId)
        .column(group_course::Column::GroupId)
        .expr_as(Expr::cust(GROUP_RANK), "place")
        .filter(group_course::COLUMN.course_id.is_in(courses.iter().copied()));
    let query = Query::select()
        .column(Alias::new("course_id"))
        .column(Alias::new("group_id"))
        .from_subquery(links.into_query(), Alias::new("links"))
        .and_where(Expr::col(Alias::new("place")).lte(MAX_GROUPS))
        .order_by(Alias::new("group_id"), Order::Asc)
        .take();
    let mut groups: HashMap<CourseId, Vec<GroupId>> = HashMap::new();
    for row in conn.query_all(&query).await? {
        let row = GroupOfCourse::from_query_result(&row, "")?;
        groups.entry(row.course_id).or_default().push(row.group_id);
    }
    Ok(groups)
}

/// The ids of the courses of a group, in order.
async fn course_ids(conn: &impl ConnectionTrait, group: GroupId) -> Result<Vec<CourseId>> {
    let ids = group_course::Entity::find()
        .select_only()
        .column(group_course::Column::CourseId)
        .filter(group_course::COLUMN.group_id.eq(group))
        .order_by_asc(group_course::Column::Position)
        .into_tuple::<CourseId>()
        .all(conn)
        .await?;
    Ok(ids)
}

/// Loads these courses in order, and checks that the caller may link them to the group. A course that is not public
/// can only be added by its author, but may stay.
async fn load_linkable(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    group: GroupId,
    ids: &[CourseId],
) -> Result<Vec<course::Model>> {
    let rows = visible_courses(caller.into()).filter(course::COLUMN.id.is_in(ids.iter().copied())).all(conn).await?;
    let mut rows: HashMap<CourseId, course::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    let linked: HashSet<CourseId> = course_ids(conn, group).await?.into_iter().collect();
    let check = |id: &CourseId| {
        let course = rows.remove(id).ok_or(Error::CourseNotFound(*id))?;
        let allowed = course.is_public || is_author(caller, &course) || linked.contains(id);
        if allowed { Ok(course) } else { Err(Error::NotAuthor) }
    };
    ids.iter().map(check).collect()
}

/// Adds a course to a group that is locked, as its last one. `field` is what a refusal is about.
async fn append_link(tx: &Tx, group: GroupId, course: CourseId, field: &str) -> Result<()> {
    let mut links = group_course::Entity::find()
        .filter(group_course::COLUMN.group_id.eq(group))
        .order_by_asc(group_course::Column::Position)
        .all(tx)
        .await?;
    if links.len() >= MAX_GROUP_COURSES {
        let refusal = format!("A group has at most {MAX_GROUP_COURSES} courses.");
        return Err(guildhall_kernel::Error::field(field, refusal).into());
    }
    let position = links.pop().map_or(1, |last| last.position + 1);
    let link = group_course::ActiveModel { group_id: Set(group), course_id: Set(course), position: Set(position) };
    group_course::Entity::insert(link).exec_without_returning(tx).await?;
    Ok(())
}

/// A new course, whose creator has to be a teacher or staff.
fn new_course(caller: &Caller, new: NewCourse, now: Timestamp) -> Result<course::ActiveModel> {
    if !caller.roles.teacher && !caller.roles.is_staff() {
        return Err(Error::NotTeacher);
    }
    new.validate()?;
    Ok(course::ActiveModel {
        id: NotSet,
        title: Set(new.title.trim().to_owned()),
        description_html: Set(markdown::html_of("description", &new.description)?),
        description: Set(new.description),
        author_id: Set(Some(caller.user)),
        is_public: Set(new.is_public),
        lesson_count: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
    })
}

/// The course after a change.
fn apply_patch(course: &course::Model, patch: &CoursePatch, html: Option<&str>, now: Timestamp) -> course::Model {
    let mut after = course.clone();
    if let Some(title) = &patch.title {
        title.trim().clone_into(&mut after.title);
    }
    if let Some(description) = &patch.description {
        after.description.clone_from(description);
    }
    if let Some(html) = html {
        html.clone_into(&mut after.description_html);
    }
    if let Some(is_public) = patch.is_public {
        after.is_public = is_public;
    }
    after.updated_at = now;
    after
}

impl SqlCourses {
    /// The courses as the viewer sees them. The number of queries does not depend on the number of courses.
    async fn show_courses(&self, rows: Vec<course::Model>, viewer: Viewer) -> Result<Vec<Course>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<CourseId> = rows.iter().map(|row| row.id).collect();
        let authors: Vec<UserId> = rows.iter().filter_map(|row| row.author_id).collect();
        let mut groups = groups_of(self.core.db.conn(), &ids, viewer).await?;
        let mut enrolments = enrolments_of(self.core.db.conn(), &ids, viewer.id()).await?;
        let people = self.core.people(authors).await?;
        let show = |row: course::Model| {
            let enrolment = enrolments.remove(&row.id);
            Course {
                groups: groups.remove(&row.id).unwrap_or_default(),
                is_enrolled: enrolment.is_some(),
                completed_lessons: enrolment.map_or(0, |enrolment| enrolment.completed_lessons),
                author: row.author_id.and_then(|id| people.get(&id)).cloned(),
                id: row.id,
                title: row.title,
                description: row.description,
                description_html: row.description_html,
                is_public: row.is_public,
                lesson_count: row.lesson_count,
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn show_course(&self, row: course::Model, viewer: Viewer) -> Result<Course> {
        let id = row.id;
        self.show_courses(vec![row], viewer).await?.pop().ok_or(Error::CourseNotFound(id))
    }
}

#[async_trait]
impl Courses for SqlCourses {
    async fn courses(&self, viewer: Option<Caller>, filter: CourseFilter, page: PageQuery) -> Result<Page<Course>> {
        let viewer = self.core.viewer(viewer)?;
        let mut select = visible_courses(viewer);
        if let Some(group) = filter.group {
            let linked = visible_links(viewer)
                .select_only()
                .column(group_course::Column::CourseId)
                .filter(group_course::COLUMN.group_id.eq(group));
            select = select.filter(course::Column::Id.in_subquery(linked.into_query()));
        }
        if let Some(is_enrolled) = filter.enrolled {
            let enrolled = Condition::all().add(course::Column::Id.in_subquery(enrolled_by(viewer.id())));
            select = select.filter(if is_enrolled { enrolled } else { enrolled.not() });
        }
        let ordering = Ordering { fields: &[("id", course::Column::Id)], default: "-id", id: course::Column::Id };
        let (rows, page) = Page::<course::Model>::fetch(select, &ordering, &page, self.core.db.conn()).await?.split();
        let courses = self.show_courses(rows, viewer).await?;
        Ok(page.with_results(|_| courses))
    }

    async fn create_course(&self, caller: &Caller, new: NewCourse) -> Result<Course> {
        let row = &new_course(caller, new, self.core.now())?;
        let row = self.core.write(|tx| async move { Ok::<_, Error>(row.clone().insert(&tx).await?) }).await?;
        self.show_course(row, caller.into()).await
    }

    async fn course(&self, viewer: Option<Caller>, id: CourseId) -> Result<Course> {
        let viewer = self.core.viewer(viewer)?;
        let row = find_course(self.core.db.conn(), viewer, id).await?;
        self.show_course(row, viewer).await
    }

    async fn change_course(&self, caller: &Caller, id: CourseId, patch: CoursePatch, known: IfMatch) -> Result<Course> {
        patch.validate()?;
        let html = patch.description.as_deref().map(|text| markdown::html_of("description", text)).transpose()?;
        let (patch, html, known) = (&patch, &html, &known);
        let row = self
            .core
            .write(|tx| async move {
                let course = lock_own_course(&tx, caller, id).await?;
                known.check(course.updated_at)?;
                let after = apply_patch(&course, patch, html.as_deref(), self.core.now());
                db::store_changes(&tx, &course, &after).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_course(row, caller.into()).await
    }

    async fn delete_course(&self, caller: &Caller, id: CourseId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .write(|tx| async move {
                let course = lock_own_course(&tx, caller, id).await?;
                known.check(course.updated_at)?;
                // Its sections, lessons and enrolments are deleted by foreign keys.
                course::Entity::delete_by_id(id).exec(&tx).await?;
                Ok::<_, Error>(())
            })
            .await?;
        tracing::info!(course.id = id.0, user.id = caller.user.0, "course deleted");
        Ok(())
    }

    async fn link_courses(&self, caller: &Caller, group: GroupId, courses: CourseIds) -> Result<Vec<Course>> {
        courses.validate()?;
        let mut seen = HashSet::new();
        let ids: Vec<CourseId> = courses.course_ids.into_iter().filter(|id| seen.insert(*id)).collect();
        let ids = &ids;
        let rows = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                GroupAccess::load_for_update(conn, caller, group).await?.require_moderator()?;
                let rows = load_linkable(conn, caller, group, ids).await?;
                group_course::Entity::delete_many().filter(group_course::COLUMN.group_id.eq(group)).exec(conn).await?;
                let links = ids.iter().zip(1..).map(|(id, position)| group_course::ActiveModel {
                    group_id: Set(group),
                    course_id: Set(*id),
                    position: Set(position),
                });
                group_course::Entity::insert_many(links).exec_without_returning(conn).await?;
                Ok::<_, Error>(rows)
            })
            .await?;
        self.show_courses(rows, caller.into()).await
    }

    async fn create_group_course(&self, caller: &Caller, group: GroupId, new: NewCourse) -> Result<Course> {
        let row = &new_course(caller, new, self.core.now())?;
        let row = self
            .core
            .write(|tx| async move {
                GroupAccess::load_for_update(&tx, caller, group).await?.require_moderator()?;
                let row = row.clone().insert(&tx).await?;
                append_link(&tx, group, row.id, "title").await?;
                Ok::<_, Error>(row)
            })
            .await?;
        self.show_course(row, caller.into()).await
    }

    async fn link_course(&self, caller: &Caller, group: GroupId, course: CourseId) -> Result<()> {
        self.core
            .write(|tx| async move {
                GroupAccess::load_for_update(&tx, caller, group).await?.require_moderator()?;
                load_linkable(&tx, caller, group, &[course]).await?;
                if group_course::Entity::find_by_id((group, course)).one(&tx).await?.is_some() {
                    return Ok(());
                }
                append_link(&tx, group, course, "course_id").await
            })
            .await
    }

    async fn unlink_course(&self, caller: &Caller, group: GroupId, course: CourseId) -> Result<()> {
        self.core
            .write(|tx| async move {
                GroupAccess::load_for_update(&tx, caller, group).await?.require_moderator()?;
                let removed = group_course::Entity::delete_by_id((group, course)).exec(&tx).await?.rows_affected;
                if removed == 0 { Err(Error::CourseNotFound(course)) } else { Ok(()) }
            })
            .await
    }

    async fn group_courses(&self, viewer: Option<Caller>, group: GroupId) -> Result<Vec<Course>> {
        let viewer = self.core.find_access(viewer, group).await?;
        let ids = course_ids(self.core.db.conn(), group).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = visible_courses(viewer)
            .filter(course::COLUMN.id.is_in(ids.iter().copied()))
            .all(self.core.db.conn())
            .await?;
        let mut rows: HashMap<CourseId, course::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
        let in_order = ids.iter().filter_map(|id| rows.remove(id)).collect();
        self.show_courses(in_order, viewer).await
    }
}
