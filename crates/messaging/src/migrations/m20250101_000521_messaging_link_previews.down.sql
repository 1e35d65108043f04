DROP TABLE messaging_link_preview;
