CREATE TRIGGER kernel_audit_event_place_kept
BEFORE UPDATE OF scope, object ON kernel_audit_event
FOR EACH ROW EXECUTE FUNCTION kernel_append_only();
