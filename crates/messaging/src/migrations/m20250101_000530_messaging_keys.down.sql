DROP INDEX messaging_member_draft_key_id;
ALTER TABLE messaging_member DROP COLUMN draft_key_id;
DROP INDEX messaging_revision_key_id;
ALTER TABLE messaging_revision DROP COLUMN key_id;
DROP INDEX messaging_message_key_id;
ALTER TABLE messaging_message DROP COLUMN key_id;
