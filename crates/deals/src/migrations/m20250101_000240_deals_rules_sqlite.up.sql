CREATE TRIGGER deals_payment_kept
BEFORE UPDATE OF id, org_id, number, code, deal_id, kind, of_id, amount_minor, currency, method, cheque_number,
    reference, received_on, recorded_by, created_at ON deals_payment
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;
CREATE VIRTUAL TABLE deals_deal_words USING fts5(search_text, content='deals_deal', content_rowid='id', tokenize='trigram');
CREATE TRIGGER deals_deal_words_insert AFTER INSERT ON deals_deal BEGIN
    INSERT INTO deals_deal_words (rowid, search_text) VALUES (new.id, new.search_text);
END;
CREATE TRIGGER deals_deal_words_delete AFTER DELETE ON deals_deal BEGIN
    INSERT INTO deals_deal_words (deals_deal_words, rowid, search_text) VALUES ('delete', old.id, old.search_text);
END;
CREATE TRIGGER deals_deal_words_update AFTER UPDATE OF search_text ON deals_deal
WHEN old.search_text <> new.search_text BEGIN
    INSERT INTO deals_deal_words (deals_deal_words, rowid, search_text) VALUES ('delete', old.id, old.search_text);
    INSERT INTO deals_deal_words (rowid, search_text) VALUES (new.id, new.search_text);
END;
CREATE VIRTUAL TABLE deals_client_words USING fts5(search_text, content='deals_client', content_rowid='id', tokenize='trigram');
CREATE TRIGGER deals_client_words_insert AFTER INSERT ON deals_client BEGIN
    INSERT INTO deals_client_words (rowid, search_text) VALUES (new.id, new.search_text);
END;
CREATE TRIGGER deals_client_words_delete AFTER DELETE ON deals_client BEGIN
    INSERT INTO deals_client_words (deals_client_words, rowid, search_text)
        VALUES ('delete', old.id, old.search_text);
END;
CREATE TRIGGER deals_client_words_update AFTER UPDATE OF search_text ON deals_client
WHEN old.search_text <> new.search_text BEGIN
    INSERT INTO deals_client_words (deals_client_words, rowid, search_text)
        VALUES ('delete', old.id, old.search_text);
    INSERT INTO deals_client_words (rowid, search_text) VALUES (new.id, new.search_text);
END;
