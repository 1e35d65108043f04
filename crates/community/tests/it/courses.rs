use guildhall_community::{
    Course, CourseFilter, CourseId, CourseIds, CoursePatch, Courses, Enrolments, Groups, Lesson, LessonId, LessonPatch,
    Lessons, Members, NewCourse, NewLesson, NewSection, Section, SectionId, SectionPatch, SqlCommunity,
};
use guildhall_kernel::{Caller, IfMatch, PageQuery, Timestamp, UserId};
use tokio::task::JoinSet;

use crate::harness::{
    self, Harness, code, community, listed, named, person, private, staff, teacher, with_connections,
};

fn public(title: &str) -> NewCourse {
    NewCourse { title: title.to_owned(), description: String::new(), is_public: true }
}

fn closed(title: &str) -> NewCourse {
    NewCourse { is_public: false, ..public(title) }
}

fn section(title: &str) -> NewSection {
    NewSection { title: title.to_owned(), position: None }
}

fn lesson(title: &str) -> NewLesson {
    NewLesson { title: title.to_owned(), content: format!("*{title}*"), position: None }
}

fn course_ids(courses: &[&Course]) -> CourseIds {
    CourseIds { course_ids: courses.iter().map(|course| course.id).collect() }
}

fn stale() -> IfMatch {
    IfMatch::only(Timestamp::EPOCH.into())
}

async fn titles(harness: &Harness, caller: Caller, filter: CourseFilter) -> Vec<String> {
    let page = harness.courses(Some(caller), filter, PageQuery::new(1, 100).ordered("id")).await.unwrap();
    assert_eq!(usize::try_from(page.count).unwrap(), page.results.len());
    page.results.into_iter().map(|course| course.title).collect()
}

/// A course of user 2 with one section and this many lessons.
async fn with_lessons(harness: &Harness, new: NewCourse, count: usize) -> (Course, Section, Vec<Lesson>) {
    let author = teacher(2);
    let course = harness.create_course(&author, new).await.unwrap();
    let section = harness.create_section(&author, course.id, section("first")).await.unwrap();
    let mut lessons = Vec::new();
    for n in 0..count {
        lessons.push(harness.create_lesson(&author, section.id, lesson(&format!("lesson {n}"))).await.unwrap());
    }
    (course, section, lessons)
}

async fn lesson_count(harness: &Harness, course: CourseId) -> i64 {
    harness.course(Some(staff(9)), course).await.unwrap().lesson_count
}

#[tokio::test]
async fn only_teachers_and_staff_create_courses() {
    let harness = community().await;
    assert_eq!(code(harness.create_course(&person(1), public("x")).await), "not_teacher");
    let new = NewCourse { description: "**bold** <script>".into(), ..public("  Bread ") };
    let course = harness.create_course(&teacher(2), new).await.unwrap();
    assert_eq!((course.title.as_str(), course.lesson_count, course.is_public), ("Bread", 0, true));
    assert_eq!(course.author.as_ref().unwrap().id, UserId(2));
    assert!(course.description_html.contains("<strong>bold</strong>"));
    assert!(!course.description_html.contains("<script"));
    assert!(!course.is_enrolled && course.completed_lessons == 0 && course.groups.is_empty());
    assert_eq!(harness.course(Some(person(1)), course.id).await.unwrap(), course);
    harness.create_course(&staff(9), public("by staff")).await.unwrap();
    assert_eq!(titles(&harness, person(1), CourseFilter::default()).await, ["Bread", "by staff"]);
    assert_eq!(code(harness.courses(None, CourseFilter::default(), PageQuery::new(1, 20)).await), "not_authenticated");
    assert_eq!(code(harness.course(None, course.id).await), "not_authenticated");
}

#[tokio::test]
async fn a_course_that_is_not_public_is_visible_to_its_author_groups_learners_and_staff() {
    let harness = community().await;
    let author = teacher(2);
    let den = harness.create_group(&author, private("den")).await.unwrap();
    harness.add_member(den.id, 3).await;
    harness.create_course(&author, public("public")).await.unwrap();
    harness.create_course(&author, closed("alone")).await.unwrap();
    let (ours, section, lessons) = with_lessons(&harness, closed("ours"), 1).await;
    harness.link_courses(&author, den.id, course_ids(&[&ours])).await.unwrap();

    let all = CourseFilter::default;
    assert_eq!(titles(&harness, author, all()).await, ["public", "alone", "ours"]);
    assert_eq!(titles(&harness, staff(9), all()).await, ["public", "alone", "ours"]);
    assert_eq!(titles(&harness, person(3), all()).await, ["public", "ours"]);
    assert_eq!(titles(&harness, person(4), all()).await, ["public"]);
    let of_den = || CourseFilter { group: Some(den.id), ..all() };
    assert_eq!(titles(&harness, person(3), of_den()).await, ["ours"]);
    assert_eq!(titles(&harness, person(4), of_den()).await, Vec::<String>::new());
    assert_eq!(harness.course(Some(person(3)), ours.id).await.unwrap().groups, [den.id]);

    // For outsiders the course and everything in it do not exist.
    let outsider = teacher(4);
    let known = IfMatch::default;
    assert_eq!(code(harness.course(Some(outsider), ours.id).await), "course_not_found");
    assert_eq!(code(harness.sections(Some(outsider), ours.id).await), "course_not_found");
    assert_eq!(code(harness.enrol(&outsider, ours.id).await), "course_not_found");
    assert_eq!(code(harness.enrolment(&outsider, ours.id).await), "course_not_found");
    assert_eq!(code(harness.leave_course(&outsider, ours.id).await), "course_not_found");
    assert_eq!(code(harness.learners(&outsider, ours.id, PageQuery::new(1, 20)).await), "course_not_found");
    let patch = CoursePatch::default();
    assert_eq!(code(harness.change_course(&outsider, ours.id, patch, known()).await), "course_not_found");
    assert_eq!(code(harness.delete_course(&outsider, ours.id, known()).await), "course_not_found");
    assert_eq!(code(harness.create_section(&outsider, ours.id, self::section("x")).await), "course_not_found");
    let patch = SectionPatch::default();
    assert_eq!(code(harness.change_section(&outsider, section.id, patch).await), "not_found");
    assert_eq!(code(harness.delete_section(&outsider, section.id).await), "not_found");
    assert_eq!(code(harness.create_lesson(&outsider, section.id, lesson("x")).await), "not_found");
    let patch = LessonPatch::default();
    assert_eq!(code(harness.lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.change_lesson(&outsider, lessons[0].id, patch, known()).await), "not_found");
    assert_eq!(code(harness.delete_lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.complete_lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.reopen_lesson(&outsider, lessons[0].id).await), "not_found");
    assert_eq!(code(harness.group_courses(Some(outsider), den.id).await), "group_not_found");
    assert_eq!(code(harness.link_courses(&outsider, den.id, course_ids(&[])).await), "group_not_found");

    // Learners keep access after the course is unlinked from the group.
    harness.enrol(&person(3), ours.id).await.unwrap();
    harness.link_courses(&author, den.id, course_ids(&[])).await.unwrap();
    assert_eq!(titles(&harness, person(3), all()).await, ["public", "ours"]);
    assert!(harness.course(Some(person(3)), ours.id).await.unwrap().groups.is_empty());
    harness.leave_course(&person(3), ours.id).await.unwrap();
    assert_eq!(titles(&harness, person(3), all()).await, ["public"]);
}

#[tokio::test]
async fn only_the_author_and_staff_change_a_course() {
    let harness = community().await;
    let (course, section, lessons) = with_lessons(&harness, public("Bread"), 1).await;
    let other = teacher(5);
    let known = IfMatch::default;
    let patch = || CoursePatch { title: Some("Mine".into()), ..CoursePatch::default() };
    assert_eq!(code(harness.change_course(&other, course.id, patch(), known()).await), "not_author");
    assert_eq!(code(harness.delete_course(&other, course.id, known()).await), "not_author");
    assert_eq!(code(harness.create_section(&other, course.id, self::section("x")).await), "not_author");
    assert_eq!(code(harness.change_section(&other, section.id, SectionPatch::default()).await), "not_author");
    assert_eq!(code(harness.delete_section(&other, section.id).await), "not_author");
    assert_eq!(code(harness.create_lesson(&other, section.id, lesson("x")).await), "not_author");
    let change = LessonPatch::default;
    assert_eq!(code(harness.change_lesson(&other, lessons[0].id, change(), known()).await), "not_author");
    assert_eq!(code(harness.delete_lesson(&other, lessons[0].id).await), "not_author");
    assert_eq!(code(harness.learners(&other, course.id, PageQuery::new(1, 20)).await), "not_author");

    let author = teacher(2);
    assert_eq!(code(harness.change_course(&author, course.id, patch(), stale()).await), "stale");
    assert_eq!(code(harness.delete_course(&author, course.id, stale()).await), "stale");
    assert_eq!(code(harness.change_lesson(&author, lessons[0].id, change(), stale()).await), "stale");
    let current = IfMatch::only(course.updated_at.into());
    let changed = harness.change_course(&author, course.id, patch(), current).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.description.as_str()), ("Mine", ""));
    assert!(changed.updated_at > course.updated_at);
    let close = CoursePatch { is_public: Some(false), ..CoursePatch::default() };
    assert!(!harness.change_course(&staff(9), course.id, close, known()).await.unwrap().is_public);
    harness.delete_course(&author, course.id, known()).await.unwrap();
    for table in ["community_course", "community_section", "community_lesson"] {
        assert_eq!(harness.count_rows(table).await, 0, "{table}");
    }
    assert_eq!(code(harness.delete_course(&author, course.id, known()).await), "course_not_found");
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
        assert_eq!(code(harness.create_course(&author, new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.count_rows("community_course").await, 0);

    let course = harness.create_course(&author, public("x")).await.unwrap();
    for new in [section(""), NewSection { position: Some(-1), ..section("x") }, section(&"x".repeat(201))] {
        assert_eq!(code(harness.create_section(&author, course.id, new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.count_rows("community_section").await, 0);

    let section = harness.create_section(&author, course.id, section("x")).await.unwrap();
    let expanding = format!("[a]: http://x\n\n{}", "[a] ".repeat(12_000));
    for new in [
        lesson("a\nb"),
        NewLesson { content: "x".repeat(50_001), ..lesson("x") },
        NewLesson { content: expanding, ..lesson("x") },
    ] {
        assert_eq!(code(harness.create_lesson(&author, section.id, new).await), "invalid");
    }
    let far = NewLesson { position: Some(1_000_001), ..lesson("x") };
    assert_eq!(code(harness.create_lesson(&author, section.id, far).await), "invalid");
    assert_eq!((harness.count_rows("community_lesson").await, lesson_count(&harness, course.id).await), (0, 0));
    for id in [0, -1, i64::MAX] {
        assert_eq!(code(harness.course(Some(author), CourseId(id)).await), "course_not_found");
        assert_eq!(code(harness.delete_section(&author, SectionId(id)).await), "not_found");
        assert_eq!(code(harness.lesson(&author, LessonId(id)).await), "not_found");
    }
}

#[tokio::test]
async fn sections_and_lessons_are_listed_in_order() {
    let harness = community().await;
    let author = teacher(2);
    let course = harness.create_course(&author, public("Bread")).await.unwrap();
    let flour = harness.create_section(&author, course.id, section("flour")).await.unwrap();
    let oven = harness.create_section(&author, course.id, section("oven")).await.unwrap();
    let first = NewSection { position: Some(0), ..section("before") };
    let before = harness.create_section(&author, course.id, first).await.unwrap();
    let wheat = harness.create_lesson(&author, flour.id, lesson("wheat")).await.unwrap();
    let rye = harness.create_lesson(&author, flour.id, lesson("rye")).await.unwrap();
    let outline = async || {
        let sections = harness.sections(Some(person(3)), course.id).await.unwrap();
        let titles = |section: Section| {
            let lessons: Vec<_> = section.lessons.into_iter().map(|lesson| lesson.title).collect();
            format!("{}: {}", section.title, lessons.join(" "))
        };
        sections.into_iter().map(titles).collect::<Vec<_>>()
    };
    assert_eq!(outline().await, ["before: ", "flour: wheat rye", "oven: "]);

    let last = SectionPatch { position: Some(900), title: Some("wood oven".into()) };
    assert_eq!(harness.change_section(&author, before.id, last).await.unwrap().position, 900);
    let first = LessonPatch { position: Some(0), ..LessonPatch::default() };
    harness.change_lesson(&author, rye.id, first, IfMatch::default()).await.unwrap();
    let across = LessonPatch { section: Some(oven.id), content: Some("**hot**".into()), ..LessonPatch::default() };
    let moved = harness.change_lesson(&author, wheat.id, across, IfMatch::default()).await.unwrap();
    assert_eq!((moved.section, moved.title.as_str()), (oven.id, "wheat"));
    assert!(moved.content_html.contains("<strong>hot</strong>") && moved.updated_at > wheat.updated_at);
    assert_eq!(outline().await, ["flour: rye", "oven: wheat", "wood oven: "]);

    // A lesson cannot move to another course, not even one by the same author.
    let (_, other_section, _) = with_lessons(&harness, public("Wine"), 0).await;
    let away = LessonPatch { section: Some(other_section.id), ..LessonPatch::default() };
    assert_eq!(code(harness.change_lesson(&author, wheat.id, away, IfMatch::default()).await), "invalid");
}

#[tokio::test]
async fn a_course_can_have_at_most_100_sections() {
    let harness = community().await;
    let course = harness.create_course(&teacher(2), public("long")).await.unwrap();
    for n in 0..100 {
        harness.create_section(&teacher(2), course.id, section(&format!("part {n}"))).await.unwrap();
    }
    assert_eq!(code(harness.create_section(&teacher(2), course.id, section("one more")).await), "course_full");
    assert_eq!(harness.count_rows("community_section").await, 100);
}

#[tokio::test]
async fn lessons_require_enrolment() {
    let harness = community().await;
    let (course, _, lessons) = with_lessons(&harness, public("Bread"), 1).await;
    let id = lessons[0].id;
    let me = person(3);
    assert_eq!(harness.sections(Some(me), course.id).await.unwrap()[0].lessons.len(), 1);
    assert_eq!(code(harness.lesson(&me, id).await), "not_enrolled");
    assert_eq!(code(harness.complete_lesson(&me, id).await), "not_enrolled");
    assert_eq!(code(harness.reopen_lesson(&me, id).await), "not_enrolled");
    assert_eq!(code(harness.enrolment(&me, course.id).await), "not_found");
    assert_eq!(harness.lesson(&teacher(2), id).await.unwrap(), lessons[0]);
    assert_eq!(harness.lesson(&staff(9), id).await.unwrap().content, "*lesson 0*");

    let (enrolment, is_new) = harness.enrol(&me, course.id).await.unwrap();
    assert!(is_new && enrolment.completed_at.is_none());
    assert_eq!((enrolment.completed_lessons, enrolment.lesson_count), (0, 1));
    assert_eq!(harness.enrol(&me, course.id).await.unwrap(), (enrolment.clone(), false));
    assert_eq!(harness.enrolment(&me, course.id).await.unwrap(), enrolment);
    assert!(harness.lesson(&me, id).await.unwrap().content_html.contains("<em>lesson 0</em>"));
    let enrolled = |value| CourseFilter { enrolled: Some(value), ..CourseFilter::default() };
    assert_eq!(titles(&harness, me, enrolled(true)).await, ["Bread"]);
    assert_eq!(titles(&harness, me, enrolled(false)).await, Vec::<String>::new());
    assert_eq!(titles(&harness, person(4), enrolled(true)).await, Vec::<String>::new());
}

#[tokio::test]
async fn progress_is_idempotent_and_the_last_lesson_completes_the_course() {
    let harness = community().await;
    let (course, section, lessons) = with_lessons(&harness, public("Bread"), 2).await;
    let me = person(3);
    harness.enrol(&me, course.id).await.unwrap();
    let progress = async || {
        let enrolment = harness.enrolment(&me, course.id).await.unwrap();
        (enrolment.completed_lessons, enrolment.lesson_count, enrolment.completed_at.is_some())
    };
    for _ in 0..2 {
        harness.complete_lesson(&me, lessons[0].id).await.unwrap();
        assert_eq!(progress().await, (1, 2, false));
    }
    assert_eq!(harness.count_rows("community_lesson_progress").await, 1);
    for _ in 0..2 {
        harness.complete_lesson(&me, lessons[1].id).await.unwrap();
        assert_eq!(progress().await, (2, 2, true));
    }
    assert!(harness.lesson(&me, lessons[1].id).await.unwrap().is_completed);
    let contents = harness.sections(Some(me), course.id).await.unwrap();
    assert!(contents[0].lessons.iter().all(|lesson| lesson.is_completed));
    for _ in 0..2 {
        harness.reopen_lesson(&me, lessons[0].id).await.unwrap();
        assert_eq!(progress().await, (1, 2, false));
    }
    harness.complete_lesson(&me, lessons[0].id).await.unwrap();

    // Adding and deleting lessons changes who has completed the course.
    let more = harness.create_lesson(&teacher(2), section.id, lesson("more")).await.unwrap();
    assert_eq!(progress().await, (2, 3, false));
    harness.delete_lesson(&teacher(2), more.id).await.unwrap();
    assert_eq!(progress().await, (2, 2, true));
    let seen = harness.course(Some(me), course.id).await.unwrap();
    assert!(seen.is_enrolled && seen.completed_lessons == 2);
    let seen = harness.course(Some(person(4)), course.id).await.unwrap();
    assert!(!seen.is_enrolled && seen.completed_lessons == 0);

    let learners = harness.learners(&teacher(2), course.id, PageQuery::new(1, 20)).await.unwrap();
    assert_eq!((learners.count, learners.results[0].user.as_ref().unwrap().id), (1, UserId(3)));
    assert!(learners.results[0].completed_at.is_some() && learners.results[0].completed_lessons == 2);
    for _ in 0..2 {
        harness.leave_course(&me, course.id).await.unwrap();
    }
    assert_eq!(harness.count_rows("community_enrolment").await, 0);
    assert_eq!(harness.count_rows("community_lesson_progress").await, 0);
}

#[tokio::test]
async fn deleting_a_section_updates_counts_and_completion() {
    let harness = community().await;
    let author = teacher(2);
    let (course, first, lessons) = with_lessons(&harness, public("Bread"), 2).await;
    let second = harness.create_section(&author, course.id, section("second")).await.unwrap();
    let last = harness.create_lesson(&author, second.id, lesson("last")).await.unwrap();
    assert_eq!(lesson_count(&harness, course.id).await, 3);
    let me = person(3);
    harness.enrol(&me, course.id).await.unwrap();
    harness.complete_lesson(&me, lessons[0].id).await.unwrap();
    harness.complete_lesson(&me, last.id).await.unwrap();

    harness.delete_section(&author, first.id).await.unwrap();
    assert_eq!(lesson_count(&harness, course.id).await, 1);
    assert_eq!(
        (harness.count_rows("community_lesson").await, harness.count_rows("community_lesson_progress").await),
        (1, 1)
    );
    // The remaining lessons are all completed.
    let enrolment = harness.enrolment(&me, course.id).await.unwrap();
    assert!(enrolment.completed_at.is_some() && enrolment.completed_lessons == 1);
    assert_eq!(code(harness.complete_lesson(&me, lessons[1].id).await), "not_found");

    harness.delete_section(&author, second.id).await.unwrap();
    assert_eq!(lesson_count(&harness, course.id).await, 0);
    harness.assert_counters().await;
    // A course without lessons is not completed.
    assert_eq!(harness.enrolment(&me, course.id).await.unwrap().completed_at, None);
    assert_eq!(code(harness.delete_section(&author, second.id).await), "not_found");
}

#[tokio::test]
async fn completing_all_lessons_concurrently_completes_the_course() {
    let harness = with_connections(8).await;
    let (course, _, lessons) = with_lessons(&harness, public("Bread"), 12).await;
    let me = person(3);
    harness.enrol(&me, course.id).await.unwrap();
    let mut tasks = JoinSet::new();
    for lesson in lessons {
        let community = SqlCommunity::clone(&harness);
        tasks.spawn(async move { community.complete_lesson(&person(3), lesson.id).await.unwrap() });
    }
    tasks.join_all().await;
    let enrolment = harness.enrolment(&me, course.id).await.unwrap();
    assert_eq!(enrolment.completed_lessons, 12);
    assert!(enrolment.completed_at.is_some());
}

#[tokio::test]
async fn moderators_link_courses_to_a_group() {
    let harness = community().await;
    let owner = teacher(2);
    let hall = harness.create_group(&owner, named("hall")).await.unwrap();
    harness.add_member(hall.id, 3).await;
    let bread = harness.create_course(&owner, closed("bread")).await.unwrap();
    let wine = harness.create_course(&teacher(5), public("wine")).await.unwrap();
    let linked = harness.link_courses(&owner, hall.id, course_ids(&[&wine, &bread, &wine])).await.unwrap();
    let titles = |courses: Vec<Course>| courses.into_iter().map(|course| course.title).collect::<Vec<_>>();
    assert!(linked.iter().all(|course| course.groups == [hall.id]));
    assert_eq!(titles(linked), ["wine", "bread"]);
    let of_hall = async |caller| titles(harness.group_courses(Some(caller), hall.id).await.unwrap());
    assert_eq!(of_hall(person(3)).await, ["wine", "bread"]);
    assert_eq!(of_hall(person(4)).await, ["wine"]);

    assert_eq!(code(harness.link_courses(&person(4), hall.id, course_ids(&[])).await), "not_member");
    assert_eq!(code(harness.link_courses(&person(3), hall.id, course_ids(&[])).await), "not_moderator");
    let secret = harness.create_course(&teacher(5), closed("secret")).await.unwrap();
    assert_eq!(code(harness.link_courses(&owner, hall.id, course_ids(&[&secret])).await), "course_not_found");
    let unknown = CourseIds { course_ids: vec![bread.id, CourseId(i64::MAX)] };
    assert_eq!(code(harness.link_courses(&owner, hall.id, unknown).await), "course_not_found");
    let many = CourseIds { course_ids: vec![bread.id; 101] };
    assert_eq!(code(harness.link_courses(&owner, hall.id, many).await), "invalid");
    assert_eq!(of_hall(person(3)).await, ["wine", "bread"], "a rejected request changes nothing");

    harness.link_courses(&owner, hall.id, course_ids(&[&bread])).await.unwrap();
    assert_eq!(of_hall(person(3)).await, ["bread"]);
    assert_eq!(harness.count_rows("community_group_course").await, 1);
    harness.delete_group(&owner, hall.id, IfMatch::default()).await.unwrap();
    assert_eq!(
        (harness.count_rows("community_group_course").await, harness.count_rows("community_course").await),
        (0, 3)
    );
}

#[tokio::test]
async fn a_course_that_is_not_public_is_linked_by_its_author_only() {
    let harness = community().await;
    let (author, owner) = (teacher(2), teacher(5));
    let den = harness.create_group(&author, private("den")).await.unwrap();
    harness.add_member(den.id, 5).await;
    let ours = harness.create_course(&author, closed("ours")).await.unwrap();
    harness.link_courses(&author, den.id, course_ids(&[&ours])).await.unwrap();

    // User 5 can see the course in the private group, but cannot link it to another group.
    let hall = harness.create_group(&owner, named("hall")).await.unwrap();
    assert_eq!(code(harness.link_courses(&owner, hall.id, course_ids(&[&ours])).await), "not_author");
    harness.link_courses(&staff(9), hall.id, course_ids(&[&ours])).await.unwrap();
    // Once it is linked, moderators of the group can keep it.
    let theirs = harness.create_course(&owner, public("theirs")).await.unwrap();
    let linked = harness.link_courses(&owner, hall.id, course_ids(&[&theirs, &ours])).await.unwrap();
    assert_eq!(linked.len(), 2);
    // A course does not reveal groups that the viewer cannot see.
    assert_eq!(harness.course(Some(owner), ours.id).await.unwrap().groups, [den.id, hall.id]);
    harness.enrol(&owner, ours.id).await.unwrap();
    harness.leave(&owner, den.id).await.unwrap();
    assert_eq!(harness.course(Some(owner), ours.id).await.unwrap().groups, [hall.id]);
}

#[tokio::test]
async fn a_listed_group_does_not_show_its_courses() {
    let harness = community().await;
    let club = harness.create_group(&teacher(2), listed("club")).await.unwrap();
    let course = harness.create_course(&teacher(2), public("Bread")).await.unwrap();
    harness.link_courses(&teacher(2), club.id, course_ids(&[&course])).await.unwrap();
    assert_eq!(code(harness.group_courses(Some(person(3)), club.id).await), "not_member");
    assert!(harness.course(Some(person(3)), course.id).await.unwrap().groups.is_empty());
    let of_club = CourseFilter { group: Some(club.id), ..CourseFilter::default() };
    assert_eq!(titles(&harness, person(3), of_club.clone()).await, Vec::<String>::new());
    assert_eq!(titles(&harness, teacher(2), of_club).await, ["Bread"]);
}

#[tokio::test]
async fn anonymous_users_can_read_public_courses_if_the_settings_allow_it() {
    let harness = harness::public().await;
    let (public_course, ..) = with_lessons(&harness, public("open"), 1).await;
    let (hidden, ..) = with_lessons(&harness, closed("hidden"), 1).await;
    let hall = harness.create_group(&teacher(2), named("hall")).await.unwrap();
    let den = harness.create_group(&teacher(2), private("den")).await.unwrap();
    for group in [hall.id, den.id] {
        harness.link_courses(&teacher(2), group, course_ids(&[&public_course, &hidden])).await.unwrap();
    }
    let seen = harness.courses(None, CourseFilter::default(), PageQuery::new(1, 20)).await.unwrap();
    assert_eq!(
        (seen.count, seen.results[0].id, seen.results[0].groups.as_slice()),
        (1, public_course.id, &[hall.id][..])
    );
    assert_eq!(harness.sections(None, public_course.id).await.unwrap()[0].lessons.len(), 1);
    assert_eq!(code(harness.course(None, hidden.id).await), "course_not_found");
    assert_eq!(code(harness.sections(None, hidden.id).await), "course_not_found");
    assert_eq!(harness.group_courses(None, hall.id).await.unwrap().len(), 1);
    assert_eq!(code(harness.group_courses(None, den.id).await), "group_not_found");
}

#[tokio::test]
async fn the_number_of_queries_does_not_depend_on_the_length_of_the_list() {
    let harness = community().await;
    let mut statements = Vec::new();
    for n in 0..30 {
        let course = harness.create_course(&teacher(1 + n % 9), public(&format!("course {n}"))).await.unwrap();
        harness.enrol(&person(3), course.id).await.unwrap();
        if n == 1 || n == 29 {
            let before = harness.db.statements();
            harness.courses(Some(person(3)), CourseFilter::default(), PageQuery::new(1, 100)).await.unwrap();
            statements.push(harness.db.statements() - before);
        }
    }
    // The page, the groups of the courses and the caller's enrolments; people are loaded by the host.
    assert_eq!(statements, [3, 3]);
}
