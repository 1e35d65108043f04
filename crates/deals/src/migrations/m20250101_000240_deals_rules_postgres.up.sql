CREATE FUNCTION deals_payment_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END $$;
CREATE TRIGGER deals_payment_kept
BEFORE UPDATE OF id, org_id, number, code, deal_id, kind, of_id, amount_minor, currency, method, cheque_number,
    reference, received_on, recorded_by, created_at ON deals_payment
FOR EACH ROW EXECUTE FUNCTION deals_payment_kept();
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX deals_deal_words ON deals_deal USING gin (search_text gin_trgm_ops);
CREATE INDEX deals_client_words ON deals_client USING gin (search_text gin_trgm_ops);
