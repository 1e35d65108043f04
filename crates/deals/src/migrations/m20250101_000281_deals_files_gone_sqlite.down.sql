DROP TRIGGER deals_file_gone;
