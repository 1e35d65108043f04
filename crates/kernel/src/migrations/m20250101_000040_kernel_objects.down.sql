DROP TABLE kernel_idempotency_key;
DROP INDEX kernel_audit_event_object;
DROP INDEX kernel_audit_event_scope;
