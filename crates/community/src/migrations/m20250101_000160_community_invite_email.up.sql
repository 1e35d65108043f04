ALTER TABLE community_invite ADD COLUMN email text;
UPDATE community_invite SET email = email_key;
