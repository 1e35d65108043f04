DROP TABLE kernel_file_garbage;
DROP TABLE kernel_file;
