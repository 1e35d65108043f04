DROP FUNCTION files_file_collected CASCADE;
