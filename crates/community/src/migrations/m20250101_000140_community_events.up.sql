CREATE TABLE community_event (
    id {id},
    group_id bigint NOT NULL CONSTRAINT community_event_group_id_fkey REFERENCES community_group (id) ON DELETE CASCADE,
    creator_id bigint CONSTRAINT community_event_creator_id_fkey REFERENCES {users} (id) ON DELETE SET NULL,
    title text NOT NULL,
    description text NOT NULL,
    description_html text NOT NULL,
    location text NOT NULL,
    url text NOT NULL,
    starts_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    capacity bigint CONSTRAINT community_event_capacity_check CHECK (capacity > 0),
    is_public boolean NOT NULL,
    is_cancelled boolean NOT NULL,
    going_count bigint NOT NULL CONSTRAINT community_event_going_count_check CHECK (going_count >= 0),
    waiting_count bigint NOT NULL CONSTRAINT community_event_waiting_count_check CHECK (waiting_count >= 0),
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT community_event_times_check CHECK (ends_at >= starts_at)
);
CREATE INDEX community_event_group_id ON community_event (group_id, starts_at, id);
CREATE INDEX community_event_starts_at ON community_event (starts_at, id);
CREATE INDEX community_event_creator_id ON community_event (creator_id);

CREATE TABLE community_rsvp (
    id {id},
    event_id bigint NOT NULL CONSTRAINT community_rsvp_event_id_fkey REFERENCES community_event (id) ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT community_rsvp_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    status text NOT NULL
        CONSTRAINT community_rsvp_status_check CHECK (status IN ('going', 'maybe', 'declined', 'waiting')),
    since bigint NOT NULL,
    CONSTRAINT community_rsvp_event_id_user_id_key UNIQUE (event_id, user_id)
);
CREATE INDEX community_rsvp_event_id ON community_rsvp (event_id, status, since, id);
CREATE INDEX community_rsvp_user_id ON community_rsvp (user_id);
