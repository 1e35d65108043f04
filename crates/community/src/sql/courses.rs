//! Courses: making, listing, changing and taking them, and which groups they belong to.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Set, TryInsertResult,
    sea_query::{Alias, Asterisk, Expr, ExprTrait, Order, Query},
};

use super::{
    Seat, SqlCommunity,
    scope::{Viewer, taken_by, visible_courses, visible_links},
};
use crate::{
    Course, CourseFilter, CourseId, CourseIds, CoursePatch, Courses, Enrolment, Error, GroupId, Learner, Lesson,
    LessonId, LessonPatch, NewCourse, NewLesson, NewSection, Result, Section, SectionId, SectionPatch,
    entity::{course, enrolment, group_course, lesson_progress},
    markdown,
};

/// How many groups of a course are shown: anybody can add a public one to groups of their own.
const MOST_GROUPS: i64 = 100;

/// That somebody takes a course, and how far they have come.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "enrolment::Entity")]
struct EnrolmentRow {
    course_id: CourseId,
    user_id: UserId,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    #[sea_orm(from_expr = "completed_lessons()")]
    completed_lessons: i64,
}

/// How many lessons of the course whoever takes it has completed.
fn completed_lessons() -> Expr {
    let column = |column| Expr::col((lesson_progress::Entity, column));
    let completed = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from(lesson_progress::Entity)
        .and_where(column(lesson_progress::Column::UserId).equals((enrolment::Entity, enrolment::Column::UserId)))
        .and_where(column(lesson_progress::Column::CourseId).equals((enrolment::Entity, enrolment::Column::CourseId)))
        .take();
    Expr::from(completed)
}

/// May they change it?
pub(super) fn is_author(caller: &Caller, course: &course::Model) -> bool {
    caller.roles.is_staff() || course.author_id == Some(caller.user)
}

/// A course, if the viewer may know of it.
pub(super) async fn find_course(conn: &impl ConnectionTrait, viewer: Viewer, id: CourseId) -> Result<course::Model> {
    let found = visible_courses(viewer).filter(course::COLUMN.id.eq(id)).one(conn).await?;
    found.ok_or(Error::CourseNotFound(id))
}

/// A course that the caller may change, locked until the transaction ends, with all that is in it.
pub(super) async fn own_course(conn: &impl ConnectionTrait, caller: &Caller, id: CourseId) -> Result<course::Model> {
    let found = visible_courses(caller.into()).filter(course::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
    let course = found.ok_or(Error::CourseNotFound(id))?;
    if is_author(caller, &course) { Ok(course) } else { Err(Error::NotAuthor) }
}

/// The groups that these courses belong to, of those that the viewer may look into.
async fn groups_of(
    conn: &impl ConnectionTrait,
    courses: &[CourseId],
    viewer: Viewer,
) -> Result<HashMap<CourseId, Vec<GroupId>>> {
    let place = "ROW_NUMBER() OVER (PARTITION BY community_group_course.course_id \
                 ORDER BY community_group_course.group_id)";
    let links = visible_links(viewer)
        .select_only()
        .column(group_course::Column::CourseId)
        .column(group_course::Column::GroupId)
        .expr_as(Expr::cust(place), "place")
        .filter(group_course::COLUMN.course_id.is_in(courses.iter().copied()));
    let shown = Query::select()
        .column(Alias::new("course_id"))
        .column(Alias::new("group_id"))
        .from_subquery(links.into_query(), Alias::new("links"))
        .and_where(Expr::col(Alias::new("place")).lte(MOST_GROUPS))
        .order_by(Alias::new("group_id"), Order::Asc)
        .take();
    let mut groups: HashMap<CourseId, Vec<GroupId>> = HashMap::new();
    for row in conn.query_all(&shown).await? {
        groups.entry(row.try_get("", "course_id")?).or_default().push(row.try_get("", "group_id")?);
    }
    Ok(groups)
}

/// Those of these courses that somebody takes.
async fn enrolments_of(
    conn: &impl ConnectionTrait,
    courses: &[CourseId],
    user: UserId,
) -> Result<HashMap<CourseId, EnrolmentRow>> {
    let rows = enrolment::Entity::find()
        .filter(enrolment::COLUMN.user_id.eq(user))
        .filter(enrolment::COLUMN.course_id.is_in(courses.iter().copied()))
        .into_partial_model::<EnrolmentRow>()
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.course_id, row)).collect())
}

/// How far somebody has come in a course, if they take it.
async fn own_enrolment(conn: &impl ConnectionTrait, course: &course::Model, user: UserId) -> Result<Option<Enrolment>> {
    let row = enrolments_of(conn, &[course.id], user).await?.remove(&course.id);
    Ok(row.map(|row| Enrolment {
        course: course.id,
        created_at: row.created_at,
        completed_at: row.completed_at,
        completed_lessons: row.completed_lessons,
        lesson_count: course.lesson_count,
    }))
}

impl SqlCommunity {
    /// The courses as the viewer sees them, in two statements however many there are.
    async fn show_courses(&self, rows: Vec<course::Model>, viewer: Viewer) -> Result<Vec<Course>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<CourseId> = rows.iter().map(|row| row.id).collect();
        let authors: Vec<UserId> = rows.iter().filter_map(|row| row.author_id).collect();
        let mut groups = groups_of(self.db.conn(), &ids, viewer).await?;
        let mut enrolments = enrolments_of(self.db.conn(), &ids, viewer.id()).await?;
        let people = self.people(authors).await?;
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

/// The courses of a group, in their order.
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

/// These courses in this order, if the caller may have them belong to the group. What is not public comes
/// into a group only by its author; there it may stay.
async fn linkable(
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

#[async_trait]
impl Courses for SqlCommunity {
    async fn courses(&self, viewer: Option<Caller>, filter: CourseFilter, page: PageQuery) -> Result<Page<Course>> {
        let viewer = self.viewer(viewer)?;
        let mut select = visible_courses(viewer);
        if let Some(group) = filter.group {
            let linked = visible_links(viewer)
                .select_only()
                .column(group_course::Column::CourseId)
                .filter(group_course::COLUMN.group_id.eq(group));
            select = select.filter(course::Column::Id.in_subquery(linked.into_query()));
        }
        if let Some(wanted) = filter.enrolled {
            let taken = Condition::all().add(course::Column::Id.in_subquery(taken_by(viewer.id())));
            select = select.filter(if wanted { taken } else { taken.not() });
        }
        let ordering = Ordering { fields: &[("id", course::Column::Id)], usual: "-id", id: course::Column::Id };
        let page = Page::<course::Model>::fetch(select, &ordering, &page, self.db.conn()).await?;
        let (rows, page) = page.take();
        let courses = self.show_courses(rows, viewer).await?;
        Ok(page.with(|_| courses))
    }

    async fn create_course(&self, caller: &Caller, new: NewCourse) -> Result<Course> {
        if !caller.roles.teacher && !caller.roles.is_staff() {
            return Err(Error::NotTeacher);
        }
        new.validate()?;
        let now = self.host.clock.now();
        let row = &course::ActiveModel {
            id: NotSet,
            title: Set(new.title.trim().to_owned()),
            description_html: Set(markdown::html_of("description", &new.description)?),
            description: Set(new.description),
            author_id: Set(Some(caller.user)),
            is_public: Set(new.is_public),
            lesson_count: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let row = self.db.write(|tx| async move { Ok::<_, Error>(row.clone().insert(tx.conn()).await?) }).await?;
        self.show_course(row, caller.into()).await
    }

    async fn course(&self, viewer: Option<Caller>, id: CourseId) -> Result<Course> {
        let viewer = self.viewer(viewer)?;
        let row = find_course(self.db.conn(), viewer, id).await?;
        self.show_course(row, viewer).await
    }

    async fn change_course(&self, caller: &Caller, id: CourseId, patch: CoursePatch, known: IfMatch) -> Result<Course> {
        patch.validate()?;
        let html = patch.description.as_deref().map(|text| markdown::html_of("description", text)).transpose()?;
        let (patch, html, known) = (&patch, &html, &known);
        let row = self
            .db
            .write(|tx| async move {
                let course = own_course(tx.conn(), caller, id).await?;
                known.check(course.updated_at)?;
                let row = course::ActiveModel {
                    id: Unchanged(id),
                    title: patch.title.as_ref().map_or(NotSet, |title| Set(title.trim().to_owned())),
                    description: patch.description.clone().map_or(NotSet, Set),
                    description_html: html.clone().map_or(NotSet, Set),
                    is_public: patch.is_public.map_or(NotSet, Set),
                    updated_at: Set(self.host.clock.now()),
                    ..Default::default()
                };
                Ok::<_, Error>(course::Entity::update(row).exec(tx.conn()).await?)
            })
            .await?;
        self.show_course(row, caller.into()).await
    }

    async fn delete_course(&self, caller: &Caller, id: CourseId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.db
            .write(|tx| async move {
                let course = own_course(tx.conn(), caller, id).await?;
                known.check(course.updated_at)?;
                // Everything in it goes by foreign keys.
                course::Entity::delete_by_id(id).exec(tx.conn()).await?;
                Ok::<_, Error>(())
            })
            .await?;
        tracing::info!(course.id = id.0, user.id = caller.user.0, "a course was deleted");
        Ok(())
    }

    async fn sections(&self, viewer: Option<Caller>, id: CourseId) -> Result<Vec<Section>> {
        self.list_sections(self.viewer(viewer)?, id).await
    }

    async fn create_section(&self, caller: &Caller, course: CourseId, new: NewSection) -> Result<Section> {
        self.add_section(caller, course, new).await
    }

    async fn change_section(&self, caller: &Caller, id: SectionId, patch: SectionPatch) -> Result<Section> {
        self.alter_section(caller, id, patch).await
    }

    async fn delete_section(&self, caller: &Caller, id: SectionId) -> Result<()> {
        self.remove_section(caller, id).await
    }

    async fn create_lesson(&self, caller: &Caller, section: SectionId, new: NewLesson) -> Result<Lesson> {
        self.add_lesson(caller, section, new).await
    }

    async fn lesson(&self, caller: &Caller, id: LessonId) -> Result<Lesson> {
        self.read_lesson(caller, id).await
    }

    async fn change_lesson(&self, caller: &Caller, id: LessonId, patch: LessonPatch, known: IfMatch) -> Result<Lesson> {
        self.alter_lesson(caller, id, patch, known).await
    }

    async fn delete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()> {
        self.remove_lesson(caller, id).await
    }

    async fn complete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()> {
        self.mark_lesson(caller, id, true).await
    }

    async fn reopen_lesson(&self, caller: &Caller, id: LessonId) -> Result<()> {
        self.mark_lesson(caller, id, false).await
    }

    async fn enrol(&self, caller: &Caller, id: CourseId) -> Result<(Enrolment, bool)> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let course = find_course(conn, caller.into(), id).await?;
                let row = enrolment::ActiveModel {
                    id: NotSet,
                    course_id: Set(id),
                    user_id: Set(caller.user),
                    created_at: Set(self.host.clock.now()),
                    completed_at: Set(None),
                };
                let made = enrolment::Entity::insert(row)
                    .on_conflict_do_nothing_on([enrolment::Column::CourseId, enrolment::Column::UserId])
                    .exec_without_returning(conn)
                    .await?;
                let own = own_enrolment(conn, &course, caller.user).await?;
                Ok((own.ok_or(Error::NotFound("enrolment"))?, matches!(made, TryInsertResult::Inserted(1))))
            })
            .await
    }

    async fn enrolment(&self, caller: &Caller, id: CourseId) -> Result<Enrolment> {
        let course = find_course(self.db.conn(), caller.into(), id).await?;
        own_enrolment(self.db.conn(), &course, caller.user).await?.ok_or(Error::NotFound("enrolment"))
    }

    async fn leave_course(&self, caller: &Caller, id: CourseId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                find_course(conn, caller.into(), id).await?;
                // This first: whoever completes a lesson holds it.
                enrolment::Entity::delete_many()
                    .filter(enrolment::COLUMN.course_id.eq(id))
                    .filter(enrolment::COLUMN.user_id.eq(caller.user))
                    .exec(conn)
                    .await?;
                lesson_progress::Entity::delete_many()
                    .filter(lesson_progress::COLUMN.course_id.eq(id))
                    .filter(lesson_progress::COLUMN.user_id.eq(caller.user))
                    .exec(conn)
                    .await?;
                Ok(())
            })
            .await
    }

    async fn learners(&self, caller: &Caller, id: CourseId, page: PageQuery) -> Result<Page<Learner>> {
        let course = find_course(self.db.conn(), caller.into(), id).await?;
        if !is_author(caller, &course) {
            return Err(Error::NotAuthor);
        }
        let select = enrolment::Entity::find().filter(enrolment::COLUMN.course_id.eq(id));
        let ordering = Ordering { fields: &[("id", enrolment::Column::Id)], usual: "-id", id: enrolment::Column::Id };
        let page = Page::<EnrolmentRow>::fetch(select, &ordering, &page, self.db.conn()).await?;
        let (rows, page) = page.take();
        let learners: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
        let people = self.people(learners).await?;
        let show = |row: EnrolmentRow| Learner {
            user: people.get(&row.user_id).cloned(),
            created_at: row.created_at,
            completed_at: row.completed_at,
            completed_lessons: row.completed_lessons,
            lesson_count: course.lesson_count,
        };
        Ok(page.with(|_| rows.into_iter().map(show).collect()))
    }

    async fn link_courses(&self, caller: &Caller, group: GroupId, courses: CourseIds) -> Result<Vec<Course>> {
        courses.validate()?;
        let mut seen = HashSet::new();
        let ids: Vec<CourseId> = courses.course_ids.into_iter().filter(|id| seen.insert(*id)).collect();
        let ids = &ids;
        let rows = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                Seat::take(conn, caller, group).await?.moderator()?;
                let rows = linkable(conn, caller, group, ids).await?;
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

    async fn group_courses(&self, viewer: Option<Caller>, group: GroupId) -> Result<Vec<Course>> {
        let viewer = self.look_into(viewer, group).await?;
        let ids = course_ids(self.db.conn(), group).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows =
            visible_courses(viewer).filter(course::COLUMN.id.is_in(ids.iter().copied())).all(self.db.conn()).await?;
        let mut rows: HashMap<CourseId, course::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
        let in_order = ids.iter().filter_map(|id| rows.remove(id)).collect();
        self.show_courses(in_order, viewer).await
    }
}
