DROP TABLE deals_payment;
