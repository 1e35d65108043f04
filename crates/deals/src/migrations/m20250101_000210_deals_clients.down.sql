DROP TABLE deals_contact;
DROP TABLE deals_client;
DROP TABLE deals_deletion;
