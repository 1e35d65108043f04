DROP TABLE deals_stage_change;
DROP TABLE deals_deal;
DROP TABLE deals_stage;
DROP TABLE deals_pipeline;
