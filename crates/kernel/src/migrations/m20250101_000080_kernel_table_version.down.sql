DROP TABLE kernel_table_version;
