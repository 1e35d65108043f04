DROP TRIGGER kernel_audit_event_place_kept;
ALTER TABLE kernel_audit_event DROP COLUMN object;
ALTER TABLE kernel_audit_event DROP COLUMN scope;
