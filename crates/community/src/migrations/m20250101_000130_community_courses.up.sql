CREATE TABLE community_course (
    id {id},
    title text NOT NULL,
    description text NOT NULL,
    description_html text NOT NULL,
    author_id bigint CONSTRAINT community_course_author_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    is_public boolean NOT NULL,
    lesson_count bigint NOT NULL CONSTRAINT community_course_lesson_count_check CHECK (lesson_count >= 0),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX community_course_author_id ON community_course (author_id);

CREATE TABLE community_group_course (
    group_id bigint NOT NULL
        CONSTRAINT community_group_course_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    course_id bigint NOT NULL
        CONSTRAINT community_group_course_course_id_fkey REFERENCES community_course (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    CONSTRAINT community_group_course_pkey PRIMARY KEY (group_id, course_id)
);
CREATE INDEX community_group_course_course_id ON community_group_course (course_id);

CREATE TABLE community_section (
    id {id},
    course_id bigint NOT NULL
        CONSTRAINT community_section_course_id_fkey REFERENCES community_course (id) ON DELETE CASCADE,
    title text NOT NULL,
    position bigint NOT NULL
);
CREATE INDEX community_section_course_id ON community_section (course_id, position, id);

CREATE TABLE community_lesson (
    id {id},
    course_id bigint NOT NULL
        CONSTRAINT community_lesson_course_id_fkey REFERENCES community_course (id) ON DELETE CASCADE,
    section_id bigint NOT NULL
        CONSTRAINT community_lesson_section_id_fkey REFERENCES community_section (id) ON DELETE CASCADE,
    title text NOT NULL,
    content text NOT NULL,
    content_html text NOT NULL,
    position bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX community_lesson_section_id ON community_lesson (section_id, position, id);
CREATE INDEX community_lesson_course_id ON community_lesson (course_id);

CREATE TABLE community_enrolment (
    id {id},
    course_id bigint NOT NULL
        CONSTRAINT community_enrolment_course_id_fkey REFERENCES community_course (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT community_enrolment_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    completed_at bigint,
    CONSTRAINT community_enrolment_course_id_user_id_key UNIQUE (course_id, user_id)
);
CREATE INDEX community_enrolment_user_id ON community_enrolment (user_id, id);
CREATE INDEX community_enrolment_newest ON community_enrolment (course_id, id);

CREATE TABLE community_lesson_progress (
    lesson_id bigint NOT NULL
        CONSTRAINT community_lesson_progress_lesson_id_fkey REFERENCES community_lesson (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT community_lesson_progress_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    course_id bigint NOT NULL
        CONSTRAINT community_lesson_progress_course_id_fkey REFERENCES community_course (id) ON DELETE CASCADE,
    completed_at bigint NOT NULL,
    CONSTRAINT community_lesson_progress_pkey PRIMARY KEY (lesson_id, user_id)
);
CREATE INDEX community_lesson_progress_user_id ON community_lesson_progress (user_id, course_id);
CREATE INDEX community_lesson_progress_course_id ON community_lesson_progress (course_id);
