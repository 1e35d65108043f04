DROP TABLE deals_file;
DROP TABLE deals_line;
