DROP FUNCTION kernel_append_only CASCADE;
