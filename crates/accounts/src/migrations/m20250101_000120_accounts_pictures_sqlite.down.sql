DROP TRIGGER users_picture_replaced;
DROP TRIGGER users_picture_gone;
