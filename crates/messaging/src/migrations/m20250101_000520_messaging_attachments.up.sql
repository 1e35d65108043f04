CREATE TABLE messaging_attachment (
    id {id},
    message_id bigint
        CONSTRAINT messaging_attachment_message_id_fkey REFERENCES messaging_message (id) ON DELETE CASCADE,
    uploader_id bigint CONSTRAINT messaging_attachment_uploader_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    file_id bigint NOT NULL CONSTRAINT messaging_attachment_file_id_key UNIQUE
        CONSTRAINT messaging_attachment_file_id_fkey REFERENCES files_file (id),
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    width bigint,
    height bigint,
    created_at bigint NOT NULL,
    CONSTRAINT messaging_attachment_sent_check CHECK ((message_id IS NULL) <> (uploader_id IS NULL)),
    CONSTRAINT messaging_attachment_picture_check CHECK ((width IS NULL) = (height IS NULL))
);
CREATE INDEX messaging_attachment_message_id ON messaging_attachment (message_id, position);
CREATE INDEX messaging_attachment_uploader_id ON messaging_attachment (uploader_id) WHERE uploader_id IS NOT NULL;
CREATE INDEX messaging_attachment_unsent ON messaging_attachment (created_at) WHERE message_id IS NULL;
