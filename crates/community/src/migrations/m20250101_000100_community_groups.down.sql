DROP TABLE community_membership;
DROP TABLE community_group;
