ALTER TABLE messaging_message ADD COLUMN key_id {key};
CREATE INDEX messaging_message_key_id ON messaging_message (key_id) WHERE key_id IS NOT NULL;
ALTER TABLE messaging_revision ADD COLUMN key_id {key};
CREATE INDEX messaging_revision_key_id ON messaging_revision (key_id) WHERE key_id IS NOT NULL;
ALTER TABLE messaging_member ADD COLUMN draft_key_id {key};
CREATE INDEX messaging_member_draft_key_id ON messaging_member (draft_key_id) WHERE draft_key_id IS NOT NULL;
