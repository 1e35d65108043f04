use guildhall_community::{CourseFilter, Courses, Enrolments, LessonPatch, Lessons, NewSection, Section, SectionPatch};
use guildhall_kernel::{IfMatch, PageQuery, UserId};
use tokio::task::JoinSet;

use crate::{
    courses::{lesson, lesson_count, public, section, titles, with_lessons},
    harness::{code, community, person, staff, teacher, with_connections},
};

#[tokio::test]
async fn sections_and_lessons_are_listed_in_order() {
    let harness = community().await;
    let author = teacher(2);
    let course = harness.courses.create_course(&author, public("Bread")).await.unwrap();
    let flour = harness.courses.create_section(&author, course.id, section("flour")).await.unwrap();
    let oven = harness.courses.create_section(&author, course.id, section("oven")).await.unwrap();
    let first = NewSection { position: Some(0), ..section("before") };
    let before = harness.courses.create_section(&author, course.id, first).await.unwrap();
    let wheat = harness.courses.create_lesson(&author, flour.id, lesson("wheat")).await.unwrap();
    let rye = harness.courses.create_lesson(&author, flour.id, lesson("rye")).await.unwrap();
    let outline = async || {
        let sections = harness.courses.sections(Some(person(3)), course.id).await.unwrap();
        let titles = |section: Section| {
            let lessons: Vec<_> = section.lessons.into_iter().map(|lesson| lesson.title).collect();
            format!("{}: {}", section.title, lessons.join(" "))
        };
        sections.into_iter().map(titles).collect::<Vec<_>>()
    };
    assert_eq!(outline().await, ["before: ", "flour: wheat rye", "oven: "]);

    let last = SectionPatch { position: Some(900), title: Some("wood oven".into()) };
    assert_eq!(harness.courses.change_section(&author, before.id, last).await.unwrap().position, 900);
    let first = LessonPatch { position: Some(0), ..LessonPatch::default() };
    harness.courses.change_lesson(&author, rye.id, first, IfMatch::default()).await.unwrap();
    let across = LessonPatch { section: Some(oven.id), content: Some("**hot**".into()), ..LessonPatch::default() };
    let moved = harness.courses.change_lesson(&author, wheat.id, across, IfMatch::default()).await.unwrap();
    assert_eq!((moved.section, moved.title.as_str()), (oven.id, "wheat"));
    assert!(moved.content_html.contains("<strong>hot</strong>") && moved.updated_at > wheat.updated_at);
    assert_eq!(outline().await, ["flour: rye", "oven: wheat", "wood oven: "]);

    // A lesson cannot move to another course, not even one by the same author.
    let (_, other_section, _) = with_lessons(&harness, public("Wine"), 0).await;
    let away = LessonPatch { section: Some(other_section.id), ..LessonPatch::default() };
    assert_eq!(code(harness.courses.change_lesson(&author, wheat.id, away, IfMatch::default()).await), "invalid");
}

#[tokio::test]
async fn a_course_can_have_at_most_100_sections() {
    let harness = community().await;
    let course = harness.courses.create_course(&teacher(2), public("long")).await.unwrap();
    for n in 0..100 {
        harness.courses.create_section(&teacher(2), course.id, section(&format!("part {n}"))).await.unwrap();
    }
    assert_eq!(code(harness.courses.create_section(&teacher(2), course.id, section("one more")).await), "course_full");
    assert_eq!(harness.db.count_rows("community_section").await, 100);
}

#[tokio::test]
async fn lessons_require_enrolment() {
    let harness = community().await;
    let (course, _, lessons) = with_lessons(&harness, public("Bread"), 1).await;
    let id = lessons[0].id;
    let me = person(3);
    assert_eq!(harness.courses.sections(Some(me), course.id).await.unwrap()[0].lessons.len(), 1);
    assert_eq!(code(harness.courses.lesson(&me, id).await), "not_enrolled");
    assert_eq!(code(harness.courses.complete_lesson(&me, id).await), "not_enrolled");
    assert_eq!(code(harness.courses.reopen_lesson(&me, id).await), "not_enrolled");
    assert_eq!(code(harness.courses.enrolment(&me, course.id).await), "not_found");
    assert_eq!(harness.courses.lesson(&teacher(2), id).await.unwrap(), lessons[0]);
    assert_eq!(harness.courses.lesson(&staff(9), id).await.unwrap().content, "*lesson 0*");

    let (enrolment, is_new) = harness.courses.enrol(&me, course.id).await.unwrap();
    assert!(is_new && enrolment.completed_at.is_none());
    assert_eq!((enrolment.completed_lessons, enrolment.lesson_count), (0, 1));
    assert_eq!(harness.courses.enrol(&me, course.id).await.unwrap(), (enrolment.clone(), false));
    assert_eq!(harness.courses.enrolment(&me, course.id).await.unwrap(), enrolment);
    assert!(harness.courses.lesson(&me, id).await.unwrap().content_html.contains("<em>lesson 0</em>"));
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
    harness.courses.enrol(&me, course.id).await.unwrap();
    let progress = async || {
        let enrolment = harness.courses.enrolment(&me, course.id).await.unwrap();
        (enrolment.completed_lessons, enrolment.lesson_count, enrolment.completed_at.is_some())
    };
    for _ in 0..2 {
        harness.courses.complete_lesson(&me, lessons[0].id).await.unwrap();
        assert_eq!(progress().await, (1, 2, false));
    }
    assert_eq!(harness.db.count_rows("community_lesson_progress").await, 1);
    for _ in 0..2 {
        harness.courses.complete_lesson(&me, lessons[1].id).await.unwrap();
        assert_eq!(progress().await, (2, 2, true));
    }
    assert!(harness.courses.lesson(&me, lessons[1].id).await.unwrap().is_completed);
    let contents = harness.courses.sections(Some(me), course.id).await.unwrap();
    assert!(contents[0].lessons.iter().all(|lesson| lesson.is_completed));
    for _ in 0..2 {
        harness.courses.reopen_lesson(&me, lessons[0].id).await.unwrap();
        assert_eq!(progress().await, (1, 2, false));
    }
    harness.courses.complete_lesson(&me, lessons[0].id).await.unwrap();

    // Adding and deleting lessons changes who has completed the course.
    let more = harness.courses.create_lesson(&teacher(2), section.id, lesson("more")).await.unwrap();
    assert_eq!(progress().await, (2, 3, false));
    harness.courses.delete_lesson(&teacher(2), more.id).await.unwrap();
    assert_eq!(progress().await, (2, 2, true));
    let seen = harness.courses.course(Some(me), course.id).await.unwrap();
    assert!(seen.is_enrolled && seen.completed_lessons == 2);
    let seen = harness.courses.course(Some(person(4)), course.id).await.unwrap();
    assert!(!seen.is_enrolled && seen.completed_lessons == 0);

    let learners = harness.courses.learners(&teacher(2), course.id, PageQuery::new(1, 20)).await.unwrap();
    assert_eq!((learners.count, learners.results[0].user.as_ref().unwrap().id), (1, UserId(3)));
    assert!(learners.results[0].completed_at.is_some() && learners.results[0].completed_lessons == 2);
    for _ in 0..2 {
        harness.courses.leave_course(&me, course.id).await.unwrap();
    }
    assert_eq!(harness.db.count_rows("community_enrolment").await, 0);
    assert_eq!(harness.db.count_rows("community_lesson_progress").await, 0);
}

#[tokio::test]
async fn deleting_a_section_updates_counts_and_completion() {
    let harness = community().await;
    let author = teacher(2);
    let (course, first, lessons) = with_lessons(&harness, public("Bread"), 2).await;
    let second = harness.courses.create_section(&author, course.id, section("second")).await.unwrap();
    let last = harness.courses.create_lesson(&author, second.id, lesson("last")).await.unwrap();
    assert_eq!(lesson_count(&harness, course.id).await, 3);
    let me = person(3);
    harness.courses.enrol(&me, course.id).await.unwrap();
    harness.courses.complete_lesson(&me, lessons[0].id).await.unwrap();
    harness.courses.complete_lesson(&me, last.id).await.unwrap();

    harness.courses.delete_section(&author, first.id).await.unwrap();
    assert_eq!(lesson_count(&harness, course.id).await, 1);
    assert_eq!(
        (harness.db.count_rows("community_lesson").await, harness.db.count_rows("community_lesson_progress").await),
        (1, 1)
    );
    // The remaining lessons are all completed.
    let enrolment = harness.courses.enrolment(&me, course.id).await.unwrap();
    assert!(enrolment.completed_at.is_some() && enrolment.completed_lessons == 1);
    assert_eq!(code(harness.courses.complete_lesson(&me, lessons[1].id).await), "not_found");

    harness.courses.delete_section(&author, second.id).await.unwrap();
    assert_eq!(lesson_count(&harness, course.id).await, 0);
    harness.assert_counters().await;
    // A course without lessons is not completed.
    assert_eq!(harness.courses.enrolment(&me, course.id).await.unwrap().completed_at, None);
    assert_eq!(code(harness.courses.delete_section(&author, second.id).await), "not_found");
}

#[tokio::test]
async fn completing_all_lessons_concurrently_completes_the_course() {
    let harness = with_connections(8).await;
    let (course, _, lessons) = with_lessons(&harness, public("Bread"), 12).await;
    let me = person(3);
    harness.courses.enrol(&me, course.id).await.unwrap();
    let mut tasks = JoinSet::new();
    for lesson in lessons {
        let community = harness.community.clone();
        tasks.spawn(async move { community.courses.complete_lesson(&person(3), lesson.id).await.unwrap() });
    }
    tasks.join_all().await;
    let enrolment = harness.courses.enrolment(&me, course.id).await.unwrap();
    assert_eq!(enrolment.completed_lessons, 12);
    assert!(enrolment.completed_at.is_some());
}
