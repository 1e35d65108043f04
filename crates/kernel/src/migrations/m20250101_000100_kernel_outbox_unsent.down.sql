DROP INDEX kernel_outbox_unsent;
