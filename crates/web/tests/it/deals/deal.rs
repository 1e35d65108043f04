//! Creating, changing and working on deals.

use super::Office;

#[tokio::test]
async fn a_deal_is_created_for_a_client() {
    let office = Office::open().await;
    let path = office.url("deals/new/");
    let page = office.browser.get(&format!("{path}?q=brannoc")).await;
    assert_eq!(page.find("#results li").len(), 1);
    let form = format!("{path}?client={}", office.client.id);
    let page = office.browser.fill(&form, &path, &[("title", "Altar"), ("value", "12,5")]).await;
    assert_eq!((page.status.as_u16(), page.find("#value-error").len()), (422, 1), "{}", page.text);
    assert_eq!(page.find("#title")[0].value().attr("value"), Some("Altar"));
    let fields = [("title", "Altar"), ("value", "12.50"), ("expected_close_date", "2030-01-31")];
    let page = office.browser.fill(&form, &path, &fields).await;
    let page = office.browser.follow(&page).await;
    assert_eq!((page.status.as_u16(), page.text_of("h1")), (200, "Altar".to_owned()));
    assert!(page.text.contains("31 Jan 2030"));
}

#[tokio::test]
async fn a_form_that_is_sent_twice_creates_one_deal() {
    let office = Office::open().await;
    let path = office.url("deals/new/");
    let form = office.browser.get(&format!("{path}?client={}", office.client.id)).await;
    let fields = [("title", "Altar"), ("value", "12.50")];
    let first = office.browser.submit(&form, &path, &fields).await;
    let second = office.browser.submit(&form, &path, &fields).await;
    assert!(first.status == 303 && first.location() == second.location(), "{}", second.text);
    let page = office.browser.get(&office.url("list/?q=Altar")).await;
    assert_eq!(page.find("tbody tr").len(), 1, "{}", page.text);
    let page = office.browser.submit(&form, &path, &[("title", "Pulpit")]).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1), "{}", page.text);
}

#[tokio::test]
async fn a_refused_form_keeps_the_version_it_was_made_of() {
    let office = Office::open().await;
    let client = office.url(&format!("clients/{}/edit/", office.client.id));
    let new = office.url(&format!("clients/{}/contacts/new/", office.client.id));
    office.browser.fill(&new, &new, &[("first_name", "Maggie")]).await;
    let page = office.browser.get(&office.url(&format!("clients/{}/", office.client.id))).await;
    let contact = page.find("a[href*='/contacts/']:not([href$='/new/'])")[0].value().attr("href").unwrap().to_owned();
    for (path, field) in [(office.deal_url("edit/"), "title"), (client, "name"), (contact, "first_name")] {
        let old = office.browser.get(&path).await;
        office.site.advance(1);
        office.browser.fill(&path, &path, &[(field, "Theirs")]).await;
        let page = office.browser.submit(&old, &path, &[(field, "")]).await;
        assert_eq!((page.status.as_u16(), page.find(&format!("#{field}-error")).len()), (422, 1), "{}", page.text);
        let page = office.browser.submit(&page, &path, &[(field, "Mine")]).await;
        let warning = page.text_of("#form-error");
        assert!(page.status == 422 && warning.contains("Theirs") && warning.contains("Mine"), "{}", page.text);
        let current = office.browser.get(&path).await;
        assert_eq!(current.find(&format!("#{field}"))[0].value().attr("value"), Some("Theirs"), "{path}");
        let page = office.browser.submit(&page, &path, &[(field, "Mine")]).await;
        assert_eq!(page.status, 303, "what was seen may be overwritten: {}", page.text);
    }
}

#[tokio::test]
async fn a_stale_form_keeps_what_was_typed() {
    let office = Office::open().await;
    let path = office.deal_url("edit/");
    let old = office.browser.get(&path).await;
    office.site.advance(1);
    office.browser.fill(&path, &path, &[("title", "Benches"), ("value", "1200.50")]).await;
    let page = office.browser.submit(&old, &path, &[("title", "Chairs"), ("value", "1200.50")]).await;
    assert_eq!((page.status.as_u16(), page.find(".banner-warning").len()), (422, 1), "{}", page.text);
    assert_eq!(page.find("#title")[0].value().attr("value"), Some("Chairs"));
    let cells: Vec<String> = page.find("#form-error tbody td").iter().map(scraper::ElementRef::inner_html).collect();
    assert_eq!(cells, ["Benches", "Chairs"], "what is there now beside what was typed");
    assert_eq!(office.current().await.title, "Benches");
    let page = office.browser.submit(&page, &path, &[("title", "Chairs")]).await;
    assert_eq!(page.location(), office.deal_url(""), "{}", page.text);
    let page = office.browser.get(&office.deal_url("?show=changes")).await;
    assert!(page.text_of(".diff").contains("Chairs"), "{}", page.text);
}

#[tokio::test]
async fn a_refused_note_keeps_what_was_typed() {
    let office = Office::open().await;
    let long = "x".repeat(10_001);
    for url in [office.deal_url(""), office.url(&format!("clients/{}/", office.client.id))] {
        let fields = [("content", long.as_str()), ("kind", "call")];
        let page = office.browser.fill(&url, &format!("{url}activities/"), &fields).await;
        assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1));
        assert_eq!(page.text_of("textarea#content"), long);
        assert_eq!(page.find("#kind option[selected]")[0].value().attr("value"), Some("call"));
    }
    let long = "x".repeat(501);
    let fields = [("verdict", "rejected"), ("reason", long.as_str())];
    let page = office.browser.fill(&office.deal_url(""), &office.deal_url("verify/"), &fields).await;
    assert_eq!(page.status, 422, "{}", page.text);
    assert_eq!(page.find("#reason")[0].value().attr("value"), Some(long.as_str()));
}

#[tokio::test]
async fn work_on_a_deal_is_in_its_timeline() {
    let office = Office::open().await;
    let url = office.deal_url("");
    let fields = [("kind", "call"), ("content", "They <want> boards")];
    office.browser.fill(&url, &office.deal_url("activities/"), &fields).await;
    let page = office.browser.get(&office.deal_url("?show=notes")).await;
    assert!(page.find(".timeline > li").len() == 1 && page.text_of(".note") == "They <want> boards", "{}", page.text);
    let page = office.browser.fill(&url, &office.deal_url("activities/"), &[("content", "")]).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1));
    let fields = [("title", "Send the contract"), ("due_at", "2030-02-01")];
    let page = office.browser.fill(&url, &office.url("tasks/"), &fields).await;
    assert_eq!(page.location(), url, "{}", page.text);
    let page = office.browser.get(&office.url("tasks/?owner=me")).await;
    assert!(page.text_of(".task").contains("Send the contract"));
    let action = page.find("form[action$='/done/']")[0].value().attr("action").unwrap().to_owned();
    office.browser.submit(&page, &action, &[("done", "1")]).await;
    assert!(office.browser.get(&office.url("tasks/")).await.text.contains("No tasks"));
}

#[tokio::test]
async fn files_are_added_and_removed() {
    let office = Office::open().await;
    let url = office.deal_url("");
    let page = office.browser.upload(&office.deal_url("files/"), &[], &[("file", "cut list.txt", "oak")]).await;
    assert_eq!(page.location(), url, "{}", page.text);
    let page = office.browser.get(&url).await;
    assert_eq!(page.text_of(".file bdi"), "cut list.txt");
    let action = page.find("form[action$='/remove/']")[0].value().attr("action").unwrap().to_owned();
    office.browser.submit(&page, &action, &[]).await;
    assert!(office.browser.get(&url).await.find(".file").is_empty());
}

#[tokio::test]
async fn a_deal_is_verified_archived_and_restored_from_the_trash() {
    let office = Office::open().await;
    let url = office.deal_url("");
    office.browser.fill(&url, &office.deal_url("verify/"), &[("verdict", "verified"), ("reason", "fine")]).await;
    assert!(office.browser.get(&url).await.text.contains("fine"));
    office.browser.fill(&url, &office.deal_url("archive/"), &[("archive", "1")]).await;
    assert!(office.browser.get(&url).await.text.contains("This deal is archived"));
    let page = office.browser.fill(&url, &office.deal_url("delete/"), &[]).await;
    assert_eq!(page.location(), office.url("list/"), "{}", page.text);
    assert_eq!(office.browser.get(&url).await.status, 404);
    let page = office.browser.get(&office.url("trash/")).await;
    let action = page.find("form[action$='/restore/']")[0].value().attr("action").unwrap().to_owned();
    office.browser.submit(&page, &action, &[]).await;
    assert_eq!(office.browser.get(&url).await.status, 200);
}

#[tokio::test]
async fn a_notification_leads_to_its_deal() {
    let office = Office::open().await;
    let (org, deal) = (office.org.id, office.deal.id);
    let page = office.browser.get(&format!("/crm/{org}/deals/{deal}/")).await;
    assert_eq!(page.location(), office.deal_url(""));
    assert_eq!(office.browser.get(&format!("/crm/{org}/deals/")).await.location(), office.url("list/"));
    assert_eq!(office.browser.get(&format!("/crm/{org}/rooms/")).await.status, 404);
}
