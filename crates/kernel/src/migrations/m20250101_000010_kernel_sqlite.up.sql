CREATE TRIGGER kernel_audit_event_append_only
BEFORE UPDATE OF id, at, actor_label, subject_label, action, outcome, ip, user_agent, request_id, detail
ON kernel_audit_event
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER kernel_audit_event_kept
BEFORE DELETE ON kernel_audit_event
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
