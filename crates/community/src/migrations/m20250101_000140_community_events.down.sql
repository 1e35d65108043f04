DROP TABLE community_rsvp;
DROP TABLE community_event;
