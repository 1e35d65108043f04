DROP INDEX kernel_outbox_recipient;
DROP TABLE kernel_file_garbage;
DROP TABLE kernel_file;
