use guildhall_community::{
    Course, CourseFilter, CourseId, CourseIds, CoursePatch, Courses, Enrolments, Groups, Lesson, LessonId, LessonPatch,
    Lessons, Members, NewCourse, NewLesson, NewSection, Section, SectionId, SectionPatch,
};
use guildhall_kernel::{Caller, IfMatch, PageQuery, Timestamp, UserId};

use crate::harness::{self, Harness, code, community, listed, named, person, private, staff, teacher};

pub(crate) fn public(title: &str) -> NewCourse {
    NewCourse { title: title.to_owned(), description: String::new(), is_public: true }
}

pub(crate) fn closed(title: &str) -> NewCourse {
    NewCourse { is_public: false, ..public(title) }
}

pub(crate) fn section(title: &str) -> NewSection {
    NewSection { title: title.to_owned(), position: None }
}

pub(crate) fn lesson(title: &str) -> NewLesson {
    NewLesson { title: title.to_owned(), content: format!("*{title}*"), position: None }
}

pub(crate) fn stale() -> IfMatch {
    IfMatch::only(Timestamp::EPOCH.into())
}

/// A course of user 2 with one section and this many lessons.
pub(crate) async fn with_lessons(harness: &Harness, new: NewCourse, count: usize) -> (Course, Section, Vec<Lesson>) {
    let author = teacher(2);
    let course = harness.courses.create_course(&author, new).await.unwrap();
    let section = harness.courses.create_section(&author, course.id, section("first")).await.unwrap();
    let mut lessons = Vec::new();
    for n in 0..count {
        lessons.push(harness.courses.create_lesson(&author, section.id, lesson(&format!("lesson {n}"))).await.unwrap());
    }
    (course, section, lessons)
}

pub(crate) async fn lesson_count(harness: &Harness, course: CourseId) -> i64 {
    harness.courses.course(Some(staff(9)), course).await.unwrap().lesson_count
}

fn course_ids(courses: &[&Course]) -> CourseIds {
    CourseIds { course_ids: courses.iter().map(|course| course.id).collect() }
}

pub(crate) async fn titles(harness: &Harness, caller: Caller, filter: CourseFilter) -> Vec<String> {
    let page = harness.courses.courses(Some(caller), filter, PageQuery::new(1, 100).ordered("id")).await.unwrap();
    assert_eq!(usize::try_from(page.count).unwrap(), page.results.len());
    page.results.into_iter().map(|course| course.title).collect()
}

#[tokio::test]
async fn only_teachers_and_staff_create_courses() {
    let harness = community().await;
    assert_eq!(code(harness.courses.create_course(&person(1), public("x")).await), "not_teacher");
    let new = NewCourse { description: "**bold** <script>".into(), ..public("  Bread ") };
    let course = harness.courses.create_course(&teacher(2), new).await.unwrap();
    assert_eq!((course.title.as_str(), course.lesson_count, course.is_public), ("Bread", 0, true));
    assert_eq!(course.author.as_ref().unwrap().id, UserId(2));
    assert!(course.description_html.contains("<strong>bold</strong>"));
    assert!(!course.description_html.contains("<script"));
    assert!(!course.is_enrolled && course.completed_lessons == 0 && course.groups.is_empty());
    assert_eq!(harness.courses.course(Some(person(1)), course.id).await.unwrap(), course);
    harness.courses.create_course(&staff(9), public("by staff")).await.unwrap();
    assert_eq!(titles(&harness, person(1), CourseFilter::default()).await, ["Bread", "by staff"]);
    assert_eq!(
        code(harness.courses.courses(None, CourseFilter::default(), PageQuery::new(1, 20)).await),
        "not_authenticated"
    );
    assert_eq!(code(harness.courses.course(None, course.id).await), "not_authenticated");
}

#[tokio::test]
async fn a_course_that_is_not_public_is_visible_to_its_author_groups_learners_and_staff() {
    let harness = community().await;
    let author = teacher(2);
    let den = harness.groups.create_group(&author, private("den")).await.unwrap();
    harness.add_member(den.id, 3).await;
    harness.courses.create_course(&author, public("public")).await.unwrap();
    harness.courses.create_course(&author, closed("alone")).await.unwrap();
    let (ours, section, lessons) = with_lessons(&harness, closed("ours"), 1).await;
    harness.courses.link_courses(&author, den.id, course_ids(&[&ours])).await.unwrap();

    let all = CourseFilter::default;
    assert_eq!(titles(&harness, author, all()).await, ["public", "alone", "ours"]);
    assert_eq!(titles(&harness, staff(9), all()).await, ["public", "alone", "ours"]);
    assert_eq!(titles(&harness, person(3), all()).await, ["public", "ours"]);
    assert_eq!(titles(&harness, person(4), all()).await, ["public"]);
    let of_den = || CourseFilter { group: Some(den.id), ..all() };
    assert_eq!(titles(&harness, person(3), of_den()).await, ["ours"]);
    assert_eq!(titles(&harness, person(4), of_den()).await, Vec::<String>::new());
    assert_eq!(harness.courses.course(Some(person(3)), ours.id).await.unwrap().groups, [den.id]);

    // For outsiders the course and everything in it do not exist.
    let outsider = teacher(4);
    let known = IfMatch::default;
    assert_eq!(code(harness.courses.course(Some(outsider), ours.id).await), "course_not_found");
    assert_eq!(code(harness.courses.sections(Some(outsider), ours.id).await), "course_not_found");
    assert_eq!(code(harness.courses.enrol(&outsider, ours.id).await), "course_not_found");
    assert_eq!(code(harness.courses.enrolment(&outsider, ours.id).await), "course_not_found");
    assert_eq!(code(harness.courses.leave_course(&outsider, ours.id).await), "course_not_found");
    assert_eq!(code(harness.courses.learners(&outsider, ours.id, PageQuery::new(1, 20)).await), "course_not_found");
    let patch = CoursePatch::default();
    assert_eq!(code(harness.courses.change_course(&outsider, ours.id, patch, known()).await), "course_not_found");
    assert_eq!(code(harness.courses.delete_course(&outsider, ours.id, known()).await), "course_not_found");
    assert_eq!(code(harness.courses.create_section(&outsider, ours.id, self::section("x")).await), "course_not_found");
    let patch = SectionPatch::default();
    assert_eq!(code(harness.courses.change_section(&outsider, section.id, patch).await), "not_found");
    assert_eq!(code(harness.courses.delete_section(&outsider, section.id).await), "not_found");
    assert_eq!(code(harness.courses.create_lesson(&outsider, section.id, lesson("x")).await), "not_found");
    let patch = LessonPatch::default();
    assert_eq!(code(harness.courses.lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.courses.change_lesson(&outsider, lessons[0].id, patch, known()).await), "not_found");
    assert_eq!(code(harness.courses.delete_lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.courses.complete_lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.courses.reopen_lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.courses.group_courses(Some(outsider), den.id).await), "group_not_found");
    assert_eq!(code(harness.courses.link_courses(&outsider, den.id, course_ids(&[])).await), "group_not_found");

    // Learners keep access after the course is unlinked from the group.
    harness.courses.enrol(&person(3), ours.id).await.unwrap();
    harness.courses.link_courses(&author, den.id, course_ids(&[])).await.unwrap();
    assert_eq!(titles(&harness, person(3), all()).await, ["public", "ours"]);
    assert!(harness.courses.course(Some(person(3)), ours.id).await.unwrap().groups.is_empty());
    harness.courses.leave_course(&person(3), ours.id).await.unwrap();
    assert_eq!(titles(&harness, person(3), all()).await, ["public"]);
}

#[tokio::test]
async fn only_the_author_and_staff_change_a_course() {
    let harness = community().await;
    let (course, section, lessons) = with_lessons(&harness, public("Bread"), 1).await;
    let other = teacher(5);
    let known = IfMatch::default;
    let patch = || CoursePatch { title: Some("Mine".into()), ..CoursePatch::default() };
    assert_eq!(code(harness.courses.change_course(&other, course.id, patch(), known()).await), "not_author");
    assert_eq!(code(harness.courses.delete_course(&other, course.id, known()).await), "not_author");
    assert_eq!(code(harness.courses.create_section(&other, course.id, self::section("x")).await), "not_author");
    assert_eq!(code(harness.courses.change_section(&other, section.id, SectionPatch::default()).await), "not_author");
    assert_eq!(code(harness.courses.delete_section(&other, section.id).await), "not_author");
    assert_eq!(code(harness.courses.create_lesson(&other, section.id, lesson("x")).await), "not_author");
    let change = LessonPatch::default;
    assert_eq!(code(harness.courses.change_lesson(&other, lessons[0].id, change(), known()).await), "not_author");
    assert_eq!(code(harness.courses.delete_lesson(&other, lessons[0].id).await), "not_author");
    assert_eq!(code(harness.courses.learners(&other, course.id, PageQuery::new(1, 20)).await), "not_author");

    let author = teacher(2);
    assert_eq!(code(harness.courses.change_course(&author, course.id, patch(), stale()).await), "stale");
    assert_eq!(code(harness.courses.delete_course(&author, course.id, stale()).await), "stale");
    assert_eq!(code(harness.courses.change_lesson(&author, lessons[0].id, change(), stale()).await), "stale");
    let current = IfMatch::only(course.updated_at.into());
    let changed = harness.courses.change_course(&author, course.id, patch(), current).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.description.as_str()), ("Mine", ""));
    assert!(changed.updated_at > course.updated_at);
    let close = CoursePatch { is_public: Some(false), ..CoursePatch::default() };
    assert!(!harness.courses.change_course(&staff(9), course.id, close, known()).await.unwrap().is_public);
    harness.courses.delete_course(&author, course.id, known()).await.unwrap();
    for table in ["community_course", "community_section", "community_lesson"] {
        assert_eq!(harness.db.count_rows(table).await, 0, "{table}");
    }
    assert_eq!(code(harness.courses.delete_course(&author, course.id, known()).await), "course_not_found");
}

#[tokio::test]
async fn invalid_input_stores_nothing() {
    let harness = community().await;
    let author = teacher(2);
    for new in [
        public(""),
        public(" "),
        public("a\nb"),
        public(&"x".repeat(201)),
        NewCourse { description: "x".repeat(10_001), ..public("x") },
        NewCourse { description: "\u{1b}[2J".into(), ..public("x") },
    ] {
        assert_eq!(code(harness.courses.create_course(&author, new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.db.count_rows("community_course").await, 0);

    let course = harness.courses.create_course(&author, public("x")).await.unwrap();
    for new in [section(""), NewSection { position: Some(-1), ..section("x") }, section(&"x".repeat(201))] {
        assert_eq!(code(harness.courses.create_section(&author, course.id, new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.db.count_rows("community_section").await, 0);

    let section = harness.courses.create_section(&author, course.id, section("x")).await.unwrap();
    let expanding = format!("[a]: http://x\n\n{}", "[a] ".repeat(12_000));
    for new in [
        lesson("a\nb"),
        NewLesson { content: "x".repeat(50_001), ..lesson("x") },
        NewLesson { content: expanding, ..lesson("x") },
    ] {
        assert_eq!(code(harness.courses.create_lesson(&author, section.id, new).await), "invalid");
    }
    let far = NewLesson { position: Some(1_000_001), ..lesson("x") };
    assert_eq!(code(harness.courses.create_lesson(&author, section.id, far).await), "invalid");
    assert_eq!((harness.db.count_rows("community_lesson").await, lesson_count(&harness, course.id).await), (0, 0));
    for id in [0, -1, i64::MAX] {
        assert_eq!(code(harness.courses.course(Some(author), CourseId(id)).await), "course_not_found");
        assert_eq!(code(harness.courses.delete_section(&author, SectionId(id)).await), "not_found");
        assert_eq!(code(harness.courses.lesson(&author, LessonId(id)).await), "not_found");
    }
}

#[tokio::test]
async fn courses_that_are_created_in_a_group_at_the_same_time_are_all_in_it() {
    let harness = harness::with_connections(4).await;
    let owner = teacher(1);
    let hall = harness.groups.create_group(&owner, listed("hall")).await.unwrap().id;
    let create = |n: usize| harness.courses.create_group_course(&owner, hall, public(&format!("course {n}")));
    let (first, second) = tokio::join!(create(1), create(2));
    let (first, second) = (first.unwrap().id, second.unwrap().id);
    let ids = async || {
        let courses = harness.courses.group_courses(Some(owner), hall).await.unwrap();
        courses.into_iter().map(|course| course.id).collect::<Vec<_>>()
    };
    let mut both = ids().await;
    both.sort_unstable();
    assert_eq!(both, [first.min(second), first.max(second)]);
    // Nothing is created for somebody who may not add it to the group.
    assert_eq!(code(harness.courses.create_group_course(&teacher(3), hall, public("other")).await), "not_member");
    assert_eq!(code(harness.courses.create_group_course(&person(1), hall, public("other")).await), "not_teacher");
    assert_eq!(harness.db.count_rows("community_course").await, 2);
    assert_eq!(code(harness.courses.unlink_course(&person(3), hall, first).await), "not_member");
    harness.courses.unlink_course(&owner, hall, first).await.unwrap();
    assert_eq!(code(harness.courses.unlink_course(&owner, hall, first).await), "course_not_found");
    assert_eq!(ids().await, [second]);
    // The course is added again, at the end; once more changes nothing.
    assert_eq!(code(harness.courses.link_course(&person(3), hall, first).await), "not_member");
    for _ in 0..2 {
        harness.courses.link_course(&owner, hall, first).await.unwrap();
        assert_eq!(ids().await, [second, first]);
    }
    harness.courses.unlink_course(&owner, hall, first).await.unwrap();
    for n in 3..102 {
        create(n).await.unwrap();
    }
    assert_eq!(code(create(102).await), "invalid");
    let refused = harness.courses.link_course(&owner, hall, first).await.unwrap_err();
    assert!(guildhall_kernel::Error::from(refused).fields().contains_key("course_id"));
}

#[tokio::test]
async fn moderators_link_courses_to_a_group() {
    let harness = community().await;
    let owner = teacher(2);
    let hall = harness.groups.create_group(&owner, named("hall")).await.unwrap();
    harness.add_member(hall.id, 3).await;
    let bread = harness.courses.create_course(&owner, closed("bread")).await.unwrap();
    let wine = harness.courses.create_course(&teacher(5), public("wine")).await.unwrap();
    let linked = harness.courses.link_courses(&owner, hall.id, course_ids(&[&wine, &bread, &wine])).await.unwrap();
    let titles = |courses: Vec<Course>| courses.into_iter().map(|course| course.title).collect::<Vec<_>>();
    assert!(linked.iter().all(|course| course.groups == [hall.id]));
    assert_eq!(titles(linked), ["wine", "bread"]);
    let of_hall = async |caller| titles(harness.courses.group_courses(Some(caller), hall.id).await.unwrap());
    assert_eq!(of_hall(person(3)).await, ["wine", "bread"]);
    assert_eq!(of_hall(person(4)).await, ["wine"]);

    assert_eq!(code(harness.courses.link_courses(&person(4), hall.id, course_ids(&[])).await), "not_member");
    assert_eq!(code(harness.courses.link_courses(&person(3), hall.id, course_ids(&[])).await), "not_moderator");
    let secret = harness.courses.create_course(&teacher(5), closed("secret")).await.unwrap();
    assert_eq!(code(harness.courses.link_courses(&owner, hall.id, course_ids(&[&secret])).await), "course_not_found");
    let unknown = CourseIds { course_ids: vec![bread.id, CourseId(i64::MAX)] };
    assert_eq!(code(harness.courses.link_courses(&owner, hall.id, unknown).await), "course_not_found");
    let many = CourseIds { course_ids: vec![bread.id; 101] };
    assert_eq!(code(harness.courses.link_courses(&owner, hall.id, many).await), "invalid");
    assert_eq!(of_hall(person(3)).await, ["wine", "bread"], "a rejected request changes nothing");

    harness.courses.link_courses(&owner, hall.id, course_ids(&[&bread])).await.unwrap();
    assert_eq!(of_hall(person(3)).await, ["bread"]);
    assert_eq!(harness.db.count_rows("community_group_course").await, 1);
    harness.groups.delete_group(&owner, hall.id, IfMatch::default()).await.unwrap();
    assert_eq!(
        (harness.db.count_rows("community_group_course").await, harness.db.count_rows("community_course").await),
        (0, 3)
    );
}

#[tokio::test]
async fn a_course_that_is_not_public_is_linked_by_its_author_only() {
    let harness = community().await;
    let (author, owner) = (teacher(2), teacher(5));
    let den = harness.groups.create_group(&author, private("den")).await.unwrap();
    harness.add_member(den.id, 5).await;
    let ours = harness.courses.create_course(&author, closed("ours")).await.unwrap();
    harness.courses.link_courses(&author, den.id, course_ids(&[&ours])).await.unwrap();

    // User 5 can see the course in the private group, but cannot link it to another group.
    let hall = harness.groups.create_group(&owner, named("hall")).await.unwrap();
    assert_eq!(code(harness.courses.link_courses(&owner, hall.id, course_ids(&[&ours])).await), "not_author");
    harness.courses.link_courses(&staff(9), hall.id, course_ids(&[&ours])).await.unwrap();
    // Once it is linked, moderators of the group can keep it.
    let theirs = harness.courses.create_course(&owner, public("theirs")).await.unwrap();
    let linked = harness.courses.link_courses(&owner, hall.id, course_ids(&[&theirs, &ours])).await.unwrap();
    assert_eq!(linked.len(), 2);
    // A course does not reveal groups that the viewer cannot see.
    assert_eq!(harness.courses.course(Some(owner), ours.id).await.unwrap().groups, [den.id, hall.id]);
    harness.courses.enrol(&owner, ours.id).await.unwrap();
    harness.groups.leave(&owner, den.id).await.unwrap();
    assert_eq!(harness.courses.course(Some(owner), ours.id).await.unwrap().groups, [hall.id]);
}

#[tokio::test]
async fn a_listed_group_does_not_show_its_courses() {
    let harness = community().await;
    let club = harness.groups.create_group(&teacher(2), listed("club")).await.unwrap();
    let course = harness.courses.create_course(&teacher(2), public("Bread")).await.unwrap();
    harness.courses.link_courses(&teacher(2), club.id, course_ids(&[&course])).await.unwrap();
    assert_eq!(code(harness.courses.group_courses(Some(person(3)), club.id).await), "not_member");
    assert!(harness.courses.course(Some(person(3)), course.id).await.unwrap().groups.is_empty());
    let of_club = CourseFilter { group: Some(club.id), ..CourseFilter::default() };
    assert_eq!(titles(&harness, person(3), of_club.clone()).await, Vec::<String>::new());
    assert_eq!(titles(&harness, teacher(2), of_club).await, ["Bread"]);
}

#[tokio::test]
async fn anonymous_users_can_read_public_courses_if_the_settings_allow_it() {
    let harness = harness::public().await;
    let (public_course, ..) = with_lessons(&harness, public("open"), 1).await;
    let (hidden, ..) = with_lessons(&harness, closed("hidden"), 1).await;
    let hall = harness.groups.create_group(&teacher(2), named("hall")).await.unwrap();
    let den = harness.groups.create_group(&teacher(2), private("den")).await.unwrap();
    for group in [hall.id, den.id] {
        harness.courses.link_courses(&teacher(2), group, course_ids(&[&public_course, &hidden])).await.unwrap();
    }
    let seen = harness.courses.courses(None, CourseFilter::default(), PageQuery::new(1, 20)).await.unwrap();
    assert_eq!(
        (seen.count, seen.results[0].id, seen.results[0].groups.as_slice()),
        (1, public_course.id, &[hall.id][..])
    );
    assert_eq!(harness.courses.sections(None, public_course.id).await.unwrap()[0].lessons.len(), 1);
    assert_eq!(code(harness.courses.course(None, hidden.id).await), "course_not_found");
    assert_eq!(code(harness.courses.sections(None, hidden.id).await), "course_not_found");
    assert_eq!(harness.courses.group_courses(None, hall.id).await.unwrap().len(), 1);
    assert_eq!(code(harness.courses.group_courses(None, den.id).await), "group_not_found");
}

#[tokio::test]
async fn the_number_of_queries_does_not_depend_on_the_length_of_the_list() {
    let harness = community().await;
    let mut statements = Vec::new();
    for n in 0..30 {
        let course = harness.courses.create_course(&teacher(1 + n % 9), public(&format!("course {n}"))).await.unwrap();
        harness.courses.enrol(&person(3), course.id).await.unwrap();
        if n == 1 || n == 29 {
            let before = harness.db.statements();
            harness.courses.courses(Some(person(3)), CourseFilter::default(), PageQuery::new(1, 100)).await.unwrap();
            statements.push(harness.db.statements() - before);
        }
    }
    // The page, the groups of the courses and the caller's enrolments; people are loaded by the host.
    assert_eq!(statements, [3, 3]);
}
