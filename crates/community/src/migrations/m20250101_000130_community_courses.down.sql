DROP TABLE community_lesson_progress;
DROP TABLE community_enrolment;
DROP TABLE community_lesson;
DROP TABLE community_section;
DROP TABLE community_group_course;
DROP TABLE community_course;
