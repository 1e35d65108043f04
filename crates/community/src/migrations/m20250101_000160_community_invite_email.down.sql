ALTER TABLE community_invite DROP COLUMN email;
