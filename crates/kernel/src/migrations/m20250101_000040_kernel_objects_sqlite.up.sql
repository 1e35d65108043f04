CREATE TRIGGER kernel_audit_event_place_kept
BEFORE UPDATE OF scope, object ON kernel_audit_event
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
