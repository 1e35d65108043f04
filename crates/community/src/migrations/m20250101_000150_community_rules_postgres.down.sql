ALTER TABLE community_post DROP COLUMN words;
ALTER TABLE community_group DROP COLUMN words;
DROP FUNCTION community_attachment_file_gone CASCADE;
DROP FUNCTION community_group_files_gone CASCADE;
DROP FUNCTION community_moderation_append_only CASCADE;
