DROP TRIGGER deals_file_gone ON deals_file;
DROP FUNCTION deals_file_gone();
