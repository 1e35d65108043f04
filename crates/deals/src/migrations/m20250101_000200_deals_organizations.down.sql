DROP TABLE deals_member;
DROP TABLE deals_team;
DROP TABLE deals_role;
DROP TABLE deals_counter;
DROP TABLE deals_organization;
