ALTER TABLE deals_contact ADD COLUMN search_text text NOT NULL DEFAULT '';
UPDATE deals_contact SET search_text = lower(first_name || ' ' || last_name || ' ' || email || ' ' || phone);
