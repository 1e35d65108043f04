//! The changes of courses and events.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_admin::{Key, NewColumn, StoredRow, TableWrites};
use guildhall_community::{CommunityState, CourseId, EventId, GroupId, LessonId, SectionId};
use guildhall_kernel::{Caller, IfMatch, Result, Timestamp};
use serde_json::{Map, Value};

use super::{take_id, typed};

pub(super) fn writes(community: &CommunityState) -> Vec<Arc<dyn TableWrites>> {
    vec![
        Arc::new(Courses(community.clone())),
        Arc::new(GroupCourses(community.clone())),
        Arc::new(Sections(community.clone())),
        Arc::new(Lessons(community.clone())),
        Arc::new(Events(community.clone())),
    ]
}

struct Courses(CommunityState);

#[async_trait]
impl TableWrites for Courses {
    fn table(&self) -> &'static str {
        "community_course"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("title"), NewColumn::optional("description"), NewColumn::checked("is_public")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "description", "is_public"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> Result<Key> {
        Ok(Key::of_id(self.0.courses.create_course(caller, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = CourseId(row.id("id")?);
        self.0.courses.change_course(caller, id, typed(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = CourseId(row.id("id")?);
        Ok(self.0.courses.delete_course(caller, id, IfMatch::default()).await?)
    }
}

struct GroupCourses(CommunityState);

#[async_trait]
impl TableWrites for GroupCourses {
    fn table(&self) -> &'static str {
        "community_group_course"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("group_id"), NewColumn::required("course_id")] }
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let (group, course) = (take_id(&mut values, "group_id")?, take_id(&mut values, "course_id")?);
        self.0.courses.link_course(caller, GroupId(group), CourseId(course)).await?;
        Ok(Key::new([group.to_string(), course.to_string()]))
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let (group, course) = (GroupId(row.id("group_id")?), CourseId(row.id("course_id")?));
        Ok(self.0.courses.unlink_course(caller, group, course).await?)
    }
}

struct Sections(CommunityState);

#[async_trait]
impl TableWrites for Sections {
    fn table(&self) -> &'static str {
        "community_section"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("course_id"), NewColumn::required("title"), NewColumn::optional("position")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "position"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let course = CourseId(take_id(&mut values, "course_id")?);
        Ok(Key::of_id(self.0.lessons.create_section(caller, course, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        self.0.lessons.change_section(caller, SectionId(row.id("id")?), typed(changes)?).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        Ok(self.0.lessons.delete_section(caller, SectionId(row.id("id")?)).await?)
    }
}

struct Lessons(CommunityState);

#[async_trait]
impl TableWrites for Lessons {
    fn table(&self) -> &'static str {
        "community_lesson"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("section_id"), NewColumn::required("title"), NewColumn::optional("content")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "content", "position"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let section = SectionId(take_id(&mut values, "section_id")?);
        Ok(Key::of_id(self.0.lessons.create_lesson(caller, section, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        self.0.lessons.change_lesson(caller, LessonId(row.id("id")?), typed(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        Ok(self.0.lessons.delete_lesson(caller, LessonId(row.id("id")?)).await?)
    }
}

struct Events(CommunityState);

#[async_trait]
impl TableWrites for Events {
    fn table(&self) -> &'static str {
        "community_event"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const {
            &[
                NewColumn::required("group_id"),
                NewColumn::required("title"),
                NewColumn::required("starts_at"),
                NewColumn::required("ends_at"),
                NewColumn::optional("description"),
                NewColumn::optional("location"),
                NewColumn::optional("url"),
                NewColumn::optional("capacity"),
                NewColumn::optional("is_public"),
            ]
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["title", "description", "location"]
    }

    fn deletes(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, mut values: Map<String, Value>) -> Result<Key> {
        let group = GroupId(take_id(&mut values, "group_id")?);
        for column in ["starts_at", "ends_at"] {
            let time = Timestamp::from_unix_micros(take_id(&mut values, column)?);
            values.insert(column.to_owned(), time.to_string().into());
        }
        Ok(Key::of_id(self.0.events.create_event(caller, group, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = EventId(row.id("id")?);
        self.0.events.change_event(caller, id, typed(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = EventId(row.id("id")?);
        Ok(self.0.events.delete_event(caller, id, IfMatch::default()).await?)
    }
}
