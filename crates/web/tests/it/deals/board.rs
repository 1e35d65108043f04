//! The board, moving deals, and the list.

use super::{Office, deal};
use crate::browser::Page;

#[tokio::test]
async fn a_part_of_a_page_loads_less_than_the_page() {
    let office = Office::open().await;
    for (path, target) in [("board/", "section#board"), ("list/", "section#results"), ("clients/", "section#results")] {
        let url = office.url(path);
        office.browser.get(&url).await;
        office.site.statements();
        office.browser.get(&url).await;
        let whole = office.site.statements();
        let part = office.browser.part(&url, target).await;
        let statements = office.site.statements();
        assert!(part.status == 200 && part.find("h1").is_empty(), "{}", part.text);
        // The groups, both unread counts, the other organizations and the waiting payments.
        assert!(statements + 5 <= whole, "{path}: {statements} of {whole}");
    }
}

#[tokio::test]
async fn the_board_shows_columns_with_sums() {
    let office = Office::open().await;
    let page = office.browser.get(&office.url("board/")).await;
    assert_eq!(page.text_of(".col .num"), "1");
    assert_eq!(page.text_of(".col-total"), "€1,200.50");
    assert_eq!(page.text_of(".deal h3"), "Pews");
    let part = office.browser.part(&office.url("board/"), "div#board").await;
    assert!(part.find("nav").is_empty() && part.find(".deal").len() == 1);
    office.browser.set_cookie("language", "de");
    let page = office.browser.get(&office.url("board/")).await;
    assert_eq!(page.text_of(".col-total"), "1.200,50 €");
}

#[tokio::test]
async fn a_card_is_moved_with_its_menu() {
    let office = Office::open().await;
    let second = deal(&office.site, &office.anna, (&office.org, &office.client), "Door").await;
    let (board, action) = (office.url("board/"), office.deal_url("move/"));
    let page = office.browser.get(&board).await;
    let place = format!("{}-after-{}", office.deal.stage_id, second.id);
    office.browser.submit(&page, &action, &[("place", &place)]).await;
    let page = office.browser.get(&board).await;
    let titles = page.find(".deal h3 bdi");
    let titles: Vec<String> = titles.iter().map(|title| title.text().collect()).collect();
    assert_eq!(titles, ["Door", "Pews"]);
    let names: Vec<&str> = page.find(".col").iter().filter_map(|column| column.value().attr("data-name")).collect();
    let stage = Office::stage(&page, names[1]);
    let page = office.browser.submit(&page, &action, &[("stage", &stage)]).await;
    assert!(page.location().starts_with(&board), "{}", page.text);
    assert_eq!(office.current().await.stage, names[1]);
}

#[tokio::test]
async fn a_deal_is_lost_with_a_reason_and_reopened() {
    let office = Office::open().await;
    let page = office.browser.get(&office.url("board/")).await;
    let lost = page.find(".col[data-kind=lost]")[0].value().attr("data-stage").unwrap().to_owned();
    assert_eq!(page.find(&format!("a[href$='/move/?stage={lost}']")).len(), 1, "losing asks for the reason");
    let fields = [("stage", lost.as_str()), ("lost_reason", "Too <dear>")];
    office.browser.fill(&office.deal_url("move/"), &office.deal_url("move/"), &fields).await;
    let page = office.browser.get(&office.deal_url("")).await;
    assert!(page.text_of(".banner").contains("Too <dear>"), "{}", page.text);
    let close = office.deal_url("close/");
    let page = office.browser.fill(&close, &close, &[("status", "open"), ("reason", "They came back")]).await;
    assert_eq!(page.location(), office.deal_url(""));
    let page = office.browser.fill(&close, &close, &[("status", "open")]).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1), "it is open already");
}

#[tokio::test]
async fn a_move_that_is_refused_says_why() {
    let office = Office::open().await;
    let action = office.deal_url("move/");
    let page = office.browser.fill(&action, &action, &[("stage", "999999"), ("lost_reason", "kept")]).await;
    assert_eq!((page.status.as_u16(), page.find("#form-error").len()), (422, 1), "{}", page.text);
    assert_eq!(page.find("#lost_reason")[0].value().attr("value"), Some("kept"));
}

#[tokio::test]
async fn the_list_is_searched_sorted_and_exported() {
    let office = Office::open().await;
    deal(&office.site, &office.anna, (&office.org, &office.client), "Door").await;
    let titles = |page: &Page| -> Vec<String> {
        page.find("tbody bdi").iter().map(|title| title.text().collect::<String>()).collect()
    };
    let page = office.browser.get(&office.url("list/?q=door")).await;
    assert!(titles(&page).contains(&"Door".to_owned()) && page.find("tbody tr").len() == 1, "{}", page.text);
    let page = office.browser.get(&office.url("list/?status=won")).await;
    assert!(page.text.contains("No deals found"));
    let page = office.browser.get(&office.url("list/?sort=number")).await;
    assert_eq!(page.find("th[aria-sort=ascending]").len(), 1);
    let link = page.find("th a[href*='sort=value']")[0].value().attr("href").unwrap().to_owned();
    let page = office.browser.get(&link).await;
    assert_eq!((page.status.as_u16(), page.find("tbody tr").len()), (200, 2), "values are compared in a currency");
    assert_eq!(office.browser.part(&office.url("list/"), "div#results").await.find("nav.tabs").len(), 0);
    let page = office.browser.get(&office.url("list/export/?q=door")).await;
    assert_eq!(page.headers["content-type"], "text/csv; charset=utf-8");
    assert!(page.text.contains("Door") && !page.text.contains("Pews"), "{}", page.text);
}

#[tokio::test]
async fn a_stage_is_named_by_its_id_when_a_deal_is_created_there() {
    let office = Office::open().await;
    let page = office.browser.get(&office.url("board/")).await;
    let links = page.find(".col-head a[href*='?stage=']");
    let stage = links[1].value().attr("href").unwrap().rsplit('=').next().unwrap().to_owned();
    let form = office.url(&format!("deals/new/?client={}&stage={stage}", office.client.id));
    let page = office.browser.get(&form).await;
    assert_eq!(page.find("#stage option[selected]")[0].value().attr("value"), Some(stage.as_str()));
}
