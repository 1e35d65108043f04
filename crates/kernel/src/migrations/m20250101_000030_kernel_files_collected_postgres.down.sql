DROP FUNCTION kernel_file_collected;
