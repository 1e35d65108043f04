DROP TABLE messaging_attachment;
