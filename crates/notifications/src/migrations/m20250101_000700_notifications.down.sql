DROP TABLE notifications_subscription;
DROP TABLE notifications_settings;
DROP TABLE notifications_preference;
DROP TABLE notifications_due;
DROP TABLE notifications_actor;
DROP TABLE notifications_notification;
DROP TABLE notifications_queue;
