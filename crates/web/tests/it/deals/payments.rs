//! Payments and reports.

use super::{Office, payment};

#[tokio::test]
async fn a_payment_is_recorded_once_and_verified() {
    let office = Office::open().await;
    let path = office.deal_url("payments/new/");
    let form = office.browser.get(&path).await;
    assert_eq!(form.find("#amount")[0].value().attr("value"), Some("1200.50"), "the balance is suggested");
    let fields = [("amount", "200.00"), ("method", "cash"), ("received_on", "2026-01-15")];
    for _ in 0..2 {
        let page = office.browser.submit(&form, &path, &fields).await;
        assert_eq!(page.location(), office.deal_url(""), "{}", page.text);
    }
    let page = office.browser.get(&office.deal_url("")).await;
    assert_eq!(page.find("#payments tbody tr").len(), 1, "a form that is sent twice records one payment");
    let key =
        |page: &crate::browser::Page| page.find("input[name=form_key]")[0].value().attr("value").map(str::to_owned);
    let other = [("amount", "100.00"), ("method", "cash"), ("received_on", "2026-01-15")];
    let page = office.browser.submit(&form, &path, &other).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1), "{}", page.text);
    assert_ne!(key(&page), key(&form), "with the same key it would be refused again");
    let page = office.browser.submit(&page, &path, &[("amount", "0"), ("method", "cash")]).await;
    assert_eq!(page.status, 422, "{}", page.text);
    let page = office.browser.fill(&path, &path, &[("amount", "5000"), ("method", "cash")]).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1), "{}", page.text);
    assert_eq!(page.find("#amount")[0].value().attr("value"), Some("5000"));
    let page = office.browser.get(&office.url("verification/")).await;
    let action = page.find("form[action$='/decide/']")[0].value().attr("action").unwrap().to_owned();
    let page = office.browser.submit(&page, &action, &[("verdict", "verified")]).await;
    assert_eq!(page.location(), office.url("verification/"), "{}", page.text);
    assert_eq!(office.current().await.verified_total, "200.00");
    assert!(office.browser.get(&office.url("verification/")).await.text.contains("Nothing to verify"));
}

#[tokio::test]
async fn a_receipt_is_added_to_a_payment() {
    let office = Office::open().await;
    let one = payment(&office.site, &office.anna, &office.org, &office.deal, "100").await;
    let path = office.deal_url(&format!("payments/{one}/"));
    let action = format!("{path}receipts/");
    let refused = office.browser.upload(&action, &[], &[("file", "a.pdf", "no document")]).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let added = office.browser.upload(&action, &[], &[("file", "a.pdf", "%PDF-1.7 receipt")]).await;
    assert_eq!(added.location(), path, "{}", added.text);
    assert!(office.browser.get(&path).await.text_of(".files").contains("a.pdf"));
}

#[tokio::test]
async fn a_payment_is_rejected_refunded_and_reversed() {
    let office = Office::open().await;
    let one = payment(&office.site, &office.anna, &office.org, &office.deal, "100").await;
    let two = payment(&office.site, &office.anna, &office.org, &office.deal, "50").await;
    let url = |payment: i64, action: &str| office.deal_url(&format!("payments/{payment}/{action}"));
    let fields = [("verdict", "rejected"), ("reason", "not ours")];
    office.browser.fill(&url(one, ""), &url(one, "decide/"), &fields).await;
    assert!(office.browser.get(&url(one, "")).await.text.contains("not ours"));
    office.browser.fill(&url(two, ""), &url(two, "decide/"), &[("verdict", "verified")]).await;
    let page = office.browser.fill(&url(two, ""), &url(two, "refund/"), &[("amount", "500")]).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1), "{}", page.text);
    assert_eq!(page.find("#refund-amount")[0].value().attr("value"), Some("500"));
    assert_eq!(page.find("#reverse-reason")[0].value().attr("value"), Some(""));
    let long = "x".repeat(501);
    let page = office.browser.fill(&url(two, ""), &url(two, "reverse/"), &[("reason", &long)]).await;
    assert_eq!(page.status, 422, "{}", page.text);
    assert_eq!(page.find("#reverse-reason")[0].value().attr("value"), Some(long.as_str()));
    let form = office.browser.get(&url(two, "")).await;
    for _ in 0..2 {
        let page = office.browser.submit(&form, &url(two, "refund/"), &[("amount", "20")]).await;
        assert_eq!(page.location(), office.deal_url(""), "{}", page.text);
    }
    let page = office.browser.get(&office.deal_url("")).await;
    assert_eq!(page.text.matches("Refund of TXN-").count(), 1, "a form that is sent twice refunds once");
    let three = payment(&office.site, &office.anna, &office.org, &office.deal, "70").await;
    let page = office.browser.fill(&url(three, ""), &url(three, "reverse/"), &[("reason", "twice")]).await;
    assert_eq!(page.location(), office.deal_url(""), "{}", page.text);
    assert!(office.browser.get(&office.deal_url("")).await.text.contains("Reversal of TXN-"));
}

#[tokio::test]
async fn reports_show_bars_and_numbers() {
    let office = Office::open().await;
    let id = payment(&office.site, &office.anna, &office.org, &office.deal, "200").await;
    let url = office.deal_url(&format!("payments/{id}/"));
    office.browser.fill(&url, &format!("{url}decide/"), &[("verdict", "verified")]).await;
    let page = office.browser.get(&office.url("reports/")).await;
    assert_eq!(page.text_of(".kpi dd"), "€1,200");
    assert!(page.find(".cols rect.d-soft").len() == 1 && page.text_of(".numbers td:last-child") == "€200.00");
    assert_eq!(page.find(".bars rect")[0].value().attr("width"), Some("100"));
    let page = office.browser.get(&office.url("reports/?from=2026-02-31")).await;
    assert_eq!(page.status, 400);
}
