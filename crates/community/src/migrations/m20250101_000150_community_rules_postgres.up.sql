CREATE FUNCTION community_moderation_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.group_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM community_group WHERE id = OLD.group_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the moderation log is append-only';
END $$;
CREATE TRIGGER community_moderation_append_only
BEFORE UPDATE OF id, group_id, action, target, detail, at ON community_moderation
FOR EACH ROW EXECUTE FUNCTION community_moderation_append_only();
CREATE TRIGGER community_moderation_kept
BEFORE DELETE ON community_moderation
FOR EACH ROW EXECUTE FUNCTION community_moderation_append_only();
CREATE FUNCTION community_group_files_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM files_file WHERE id IN (OLD.image_id, OLD.banner_id);
    ELSE
        DELETE FROM files_file WHERE id IN (OLD.image_id, OLD.banner_id)
            AND id IS DISTINCT FROM NEW.image_id AND id IS DISTINCT FROM NEW.banner_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER community_group_files_gone
AFTER DELETE ON community_group
FOR EACH ROW WHEN (OLD.image_id IS NOT NULL OR OLD.banner_id IS NOT NULL)
EXECUTE FUNCTION community_group_files_gone();
CREATE TRIGGER community_group_files_replaced
AFTER UPDATE OF image_id, banner_id ON community_group
FOR EACH ROW WHEN (OLD.image_id IS NOT NULL OR OLD.banner_id IS NOT NULL)
EXECUTE FUNCTION community_group_files_gone();
CREATE FUNCTION community_attachment_file_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
    RETURN NULL;
END $$;
CREATE TRIGGER community_attachment_file_gone
AFTER DELETE ON community_attachment
FOR EACH ROW EXECUTE FUNCTION community_attachment_file_gone();
ALTER TABLE community_post
    ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', search_text)) STORED;
ALTER TABLE community_group
    ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', search_text)) STORED;
CREATE INDEX community_post_words ON community_post USING gin (words);
CREATE INDEX community_group_words ON community_group USING gin (words);
