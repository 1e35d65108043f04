-- Versions of the tables whose rows are counted in long lists.
INSERT INTO kernel_table_version (name, version) VALUES ('deals_client', 0);
CREATE TRIGGER deals_client_version_insert AFTER INSERT ON deals_client
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_client';
END;
CREATE TRIGGER deals_client_version_update AFTER UPDATE ON deals_client
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_client';
END;
CREATE TRIGGER deals_client_version_delete AFTER DELETE ON deals_client
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_client';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_deal', 0);
CREATE TRIGGER deals_deal_version_insert AFTER INSERT ON deals_deal
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_deal';
END;
CREATE TRIGGER deals_deal_version_update AFTER UPDATE ON deals_deal
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_deal';
END;
CREATE TRIGGER deals_deal_version_delete AFTER DELETE ON deals_deal
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_deal';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_task', 0);
CREATE TRIGGER deals_task_version_insert AFTER INSERT ON deals_task
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_task';
END;
CREATE TRIGGER deals_task_version_update AFTER UPDATE ON deals_task
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_task';
END;
CREATE TRIGGER deals_task_version_delete AFTER DELETE ON deals_task
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_task';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_payment', 0);
CREATE TRIGGER deals_payment_version_insert AFTER INSERT ON deals_payment
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_payment';
END;
CREATE TRIGGER deals_payment_version_update AFTER UPDATE ON deals_payment
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_payment';
END;
CREATE TRIGGER deals_payment_version_delete AFTER DELETE ON deals_payment
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_payment';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_contact', 0);
CREATE TRIGGER deals_contact_version_insert AFTER INSERT ON deals_contact
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_contact';
END;
CREATE TRIGGER deals_contact_version_update AFTER UPDATE ON deals_contact
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_contact';
END;
CREATE TRIGGER deals_contact_version_delete AFTER DELETE ON deals_contact
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_contact';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_member', 0);
CREATE TRIGGER deals_member_version_insert AFTER INSERT ON deals_member
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_member';
END;
CREATE TRIGGER deals_member_version_update AFTER UPDATE ON deals_member
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_member';
END;
CREATE TRIGGER deals_member_version_delete AFTER DELETE ON deals_member
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_member';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_team', 0);
CREATE TRIGGER deals_team_version_insert AFTER INSERT ON deals_team
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_team';
END;
CREATE TRIGGER deals_team_version_update AFTER UPDATE ON deals_team
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_team';
END;
CREATE TRIGGER deals_team_version_delete AFTER DELETE ON deals_team
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_team';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_role', 0);
CREATE TRIGGER deals_role_version_insert AFTER INSERT ON deals_role
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_role';
END;
CREATE TRIGGER deals_role_version_update AFTER UPDATE ON deals_role
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_role';
END;
CREATE TRIGGER deals_role_version_delete AFTER DELETE ON deals_role
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_role';
END;
INSERT INTO kernel_table_version (name, version) VALUES ('deals_organization', 0);
CREATE TRIGGER deals_organization_version_insert AFTER INSERT ON deals_organization
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_organization';
END;
CREATE TRIGGER deals_organization_version_update AFTER UPDATE ON deals_organization
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_organization';
END;
CREATE TRIGGER deals_organization_version_delete AFTER DELETE ON deals_organization
BEGIN
    UPDATE kernel_table_version SET version = version + 1 WHERE name = 'deals_organization';
END;
