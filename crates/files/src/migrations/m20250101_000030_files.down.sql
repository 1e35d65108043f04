DROP TABLE files_garbage;
DROP TABLE files_file;
