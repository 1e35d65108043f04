DROP TABLE kernel_idempotency_key;
DROP INDEX kernel_audit_event_object;
DROP INDEX kernel_audit_event_scope;
ALTER TABLE kernel_audit_event DROP COLUMN object;
ALTER TABLE kernel_audit_event DROP COLUMN scope;
