DROP FUNCTION users_picture_gone CASCADE;
