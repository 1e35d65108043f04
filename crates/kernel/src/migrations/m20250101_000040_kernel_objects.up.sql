ALTER TABLE kernel_audit_event ADD COLUMN scope {key};
ALTER TABLE kernel_audit_event ADD COLUMN object {key};
CREATE INDEX kernel_audit_event_scope ON kernel_audit_event (scope, id) WHERE scope IS NOT NULL;
CREATE INDEX kernel_audit_event_object ON kernel_audit_event (object, id) WHERE object IS NOT NULL;

CREATE TABLE kernel_idempotency_key (
    user_id bigint NOT NULL
        CONSTRAINT kernel_idempotency_key_user_id_fkey REFERENCES {users} (id) ON DELETE CASCADE,
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint {bytes} NOT NULL,
    answer text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT kernel_idempotency_key_pkey PRIMARY KEY (user_id, scope, key)
);
CREATE INDEX kernel_idempotency_key_created_at ON kernel_idempotency_key (created_at);
