CREATE INDEX deals_contact_words ON deals_contact USING gin (search_text gin_trgm_ops);
