CREATE FUNCTION kernel_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER kernel_audit_event_append_only
BEFORE UPDATE OF id, at, actor_label, subject_label, action, outcome, ip, user_agent, request_id, detail
ON kernel_audit_event
FOR EACH ROW EXECUTE FUNCTION kernel_append_only();
CREATE TRIGGER kernel_audit_event_kept
BEFORE DELETE OR TRUNCATE ON kernel_audit_event
FOR EACH STATEMENT EXECUTE FUNCTION kernel_append_only();
