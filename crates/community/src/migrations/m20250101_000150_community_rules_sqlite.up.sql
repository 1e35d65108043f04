CREATE TRIGGER community_moderation_append_only
BEFORE UPDATE OF id, group_id, action, target, detail, at ON community_moderation
BEGIN
    SELECT RAISE(ABORT, 'the moderation log is append-only');
END;
CREATE TRIGGER community_moderation_kept
BEFORE DELETE ON community_moderation
WHEN OLD.group_id IS NULL OR EXISTS (SELECT 1 FROM community_group WHERE id = OLD.group_id)
BEGIN
    SELECT RAISE(ABORT, 'the moderation log is append-only');
END;
CREATE TRIGGER community_group_files_gone
AFTER DELETE ON community_group
BEGIN
    DELETE FROM files_file WHERE id IN (OLD.image_id, OLD.banner_id);
END;
CREATE TRIGGER community_group_image_replaced
AFTER UPDATE OF image_id ON community_group
WHEN OLD.image_id IS NOT NEW.image_id
BEGIN
    DELETE FROM files_file WHERE id = OLD.image_id;
END;
CREATE TRIGGER community_group_banner_replaced
AFTER UPDATE OF banner_id ON community_group
WHEN OLD.banner_id IS NOT NEW.banner_id
BEGIN
    DELETE FROM files_file WHERE id = OLD.banner_id;
END;
CREATE TRIGGER community_attachment_file_gone
AFTER DELETE ON community_attachment
BEGIN
    DELETE FROM files_file WHERE id = OLD.file_id;
END;
CREATE VIRTUAL TABLE community_post_words USING fts5(
    search_text, content='community_post', content_rowid='id', detail='none', prefix='2 3', tokenize='ascii'
);
CREATE TRIGGER community_post_words_insert AFTER INSERT ON community_post
BEGIN
    INSERT INTO community_post_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
CREATE TRIGGER community_post_words_delete AFTER DELETE ON community_post
BEGIN
    INSERT INTO community_post_words (community_post_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
END;
CREATE TRIGGER community_post_words_update AFTER UPDATE OF search_text ON community_post
BEGIN
    INSERT INTO community_post_words (community_post_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
    INSERT INTO community_post_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
CREATE VIRTUAL TABLE community_group_words USING fts5(
    search_text, content='community_group', content_rowid='id', detail='none', prefix='2 3', tokenize='ascii'
);
INSERT INTO community_group_words (rowid, search_text) SELECT id, search_text FROM community_group;
CREATE TRIGGER community_group_words_insert AFTER INSERT ON community_group
BEGIN
    INSERT INTO community_group_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
CREATE TRIGGER community_group_words_delete AFTER DELETE ON community_group
BEGIN
    INSERT INTO community_group_words (community_group_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
END;
CREATE TRIGGER community_group_words_update AFTER UPDATE OF search_text ON community_group
BEGIN
    INSERT INTO community_group_words (community_group_words, rowid, search_text)
    VALUES ('delete', OLD.id, OLD.search_text);
    INSERT INTO community_group_words (rowid, search_text) VALUES (NEW.id, NEW.search_text);
END;
