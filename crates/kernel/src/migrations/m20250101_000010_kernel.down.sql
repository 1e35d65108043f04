DROP TABLE kernel_job;
DROP TABLE kernel_outbox;
DROP TABLE kernel_audit_event;
DROP TABLE kernel_secret;
