CREATE TABLE messaging_link_preview (
    message_id bigint NOT NULL CONSTRAINT messaging_link_preview_pkey PRIMARY KEY
        CONSTRAINT messaging_link_preview_message_id_fkey REFERENCES messaging_message (id) ON DELETE CASCADE,
    page text,
    key_id {key},
    attempts bigint NOT NULL,
    next_at bigint,
    CONSTRAINT messaging_link_preview_state_check CHECK ((next_at IS NULL) = (page IS NOT NULL))
);
CREATE INDEX messaging_link_preview_next_at ON messaging_link_preview (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX messaging_link_preview_key_id ON messaging_link_preview (key_id) WHERE key_id IS NOT NULL;
