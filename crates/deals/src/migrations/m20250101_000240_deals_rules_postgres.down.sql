DROP INDEX deals_client_words;
DROP INDEX deals_deal_words;
DROP TRIGGER deals_payment_kept ON deals_payment;
DROP FUNCTION deals_payment_kept;
