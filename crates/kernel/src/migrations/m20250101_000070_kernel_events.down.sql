DROP TABLE kernel_event_delivery;
DROP TABLE kernel_event;
