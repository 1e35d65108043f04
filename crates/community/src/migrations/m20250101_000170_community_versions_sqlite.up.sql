-- Versions of the tables whose rows are counted in long lists. Columns that no list is filtered by do not count, above
-- all those that change often.
INSERT INTO kernel_table_version (name, version) VALUES ('community_group', 0);
CREATE TRIGGER community_group_version_insert AFTER INSERT ON community_group
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_group';
END;
CREATE TRIGGER community_group_version_update AFTER UPDATE OF name, name_key, slug, description, category, is_private,
    is_corporate_group, creator_id, created_at, is_listed, max_members, posting, approves_posts, members_invite,
    member_count, search_text ON community_group
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_group';
END;
CREATE TRIGGER community_group_version_delete AFTER DELETE ON community_group
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_group';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('community_membership', 0);
CREATE TRIGGER community_membership_version_insert AFTER INSERT ON community_membership
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_membership';
END;
CREATE TRIGGER community_membership_version_update AFTER UPDATE ON community_membership
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_membership';
END;
CREATE TRIGGER community_membership_version_delete AFTER DELETE ON community_membership
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_membership';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('community_post', 0);
CREATE TRIGGER community_post_version_insert AFTER INSERT ON community_post
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_post';
END;
CREATE TRIGGER community_post_version_update AFTER UPDATE OF group_id, author_id, title, content, visibility, category,
    is_approved, is_pinned, is_featured, is_locked, has_extras, search_text, created_at ON community_post
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_post';
END;
CREATE TRIGGER community_post_version_delete AFTER DELETE ON community_post
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_post';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('community_follow', 0);
CREATE TRIGGER community_follow_version_insert AFTER INSERT ON community_follow
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_follow';
END;
CREATE TRIGGER community_follow_version_update AFTER UPDATE ON community_follow
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_follow';
END;
CREATE TRIGGER community_follow_version_delete AFTER DELETE ON community_follow
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_follow';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('community_event', 0);
CREATE TRIGGER community_event_version_insert AFTER INSERT ON community_event
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_event';
END;
CREATE TRIGGER community_event_version_update AFTER UPDATE ON community_event
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_event';
END;
CREATE TRIGGER community_event_version_delete AFTER DELETE ON community_event
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_event';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('community_comment', 0);
CREATE TRIGGER community_comment_version_insert AFTER INSERT ON community_comment
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_comment';
END;
CREATE TRIGGER community_comment_version_update AFTER UPDATE ON community_comment
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_comment';
END;
CREATE TRIGGER community_comment_version_delete AFTER DELETE ON community_comment
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'community_comment';
END;
