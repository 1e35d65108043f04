DROP INDEX deals_deal_listed;
