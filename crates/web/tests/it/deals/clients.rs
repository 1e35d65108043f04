//! Clients, contacts and imports.

use axum::{
    body::Body,
    http::{Request, header},
};

use super::{Office, client};

#[tokio::test]
async fn clients_and_contacts_are_created_and_changed() {
    let office = Office::open().await;
    let new = office.url("clients/new/");
    let page = office.browser.fill(&new, &new, &[("name", "Harrow"), ("email", "no address")]).await;
    assert_eq!((page.status.as_u16(), page.find("#email-error").len()), (422, 1));
    let page = office.browser.fill(&new, &new, &[("name", "Harrow"), ("email", "office@harrow.example")]).await;
    let url = page.location().to_owned();
    assert_eq!(office.browser.get(&url).await.text_of("h1"), "Harrow");
    let edit = format!("{url}edit/");
    office.browser.fill(&edit, &edit, &[("name", "Harrow & Vale"), ("phone", "123")]).await;
    let page = office.browser.get(&office.url("clients/?q=vale")).await;
    assert_eq!(page.text_of("tbody bdi"), "Harrow & Vale");
    let contact = format!("{url}contacts/new/");
    let fields = [("first_name", "Margaret"), ("title", "Warden"), ("is_primary", "1")];
    office.browser.fill(&contact, &contact, &fields).await;
    let page = office.browser.get(&url).await;
    assert!(page.text.contains("Margaret") && page.text.contains("Primary"), "{}", page.text);
    let link = page.find("a[href*='/contacts/']:not([href$='/new/'])")[0].value().attr("href").unwrap().to_owned();
    office.browser.fill(&link, &link, &[("first_name", "Maggie")]).await;
    assert!(office.browser.get(&url).await.text.contains("Maggie"));
    office.browser.fill(&link, &format!("{link}delete/"), &[]).await;
    assert!(!office.browser.get(&url).await.text.contains("Maggie"));
    let page = office.browser.fill(&url, &format!("{url}delete/"), &[]).await;
    assert_eq!(page.location(), office.url("clients/"));
}

#[tokio::test]
async fn duplicate_clients_are_merged() {
    let office = Office::open().await;
    let other = client(&office.site, &office.anna, &office.org, "St Brannoc").await;
    let url = office.url(&format!("clients/{}/", office.client.id));
    let page = office.browser.get(&url).await;
    assert!(page.text_of(".banner-warning").contains("Looks like"), "{}", page.text);
    office.browser.submit(&page, &format!("{url}merge/"), &[]).await;
    assert_eq!(office.browser.get(&office.url(&format!("clients/{}/", other.id))).await.status, 404);
}

#[tokio::test]
async fn a_table_is_checked_and_imported() {
    let office = Office::open().await;
    let path = office.url("import/");
    let page = office.browser.get(&path).await;
    let csrf = page.find("meta[name=csrf]")[0].value().attr("content").unwrap().to_owned();
    let key = page.find("input[name=form_key]")[0].value().attr("value").unwrap().to_owned();
    let send = async |action: &str| {
        let field = |name: &str, value: &str| {
            format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = [
            field("csrf_token", &csrf),
            field("form_key", &key),
            field("kind", "clients"),
            field("mapping", "Kunde = name"),
            field("action", action),
            "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"clients.csv\"\r\n\r\n\
             Kunde,email\nHarrow,office@harrow.example\nVale,broken\r\n--x--\r\n"
                .to_owned(),
        ];
        let request = Request::post(&path).header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        let page = office.browser.send(request.body(Body::from(body.concat())).unwrap()).await;
        office.browser.follow(&page).await
    };
    send("check").await;
    let page = send("check").await;
    assert!(page.status == 200 && page.find("tbody tr").len() == 1, "{}", page.text);
    assert!(page.find("tbody tr")[0].html().contains("broken"), "{}", page.text);
    let page = send("import").await;
    assert!(page.text_of(".badge") == "Refused" && page.find("tbody tr").len() == 1, "{}", page.text);
    let errors = page.find("a[download]")[0].value().attr("href").unwrap().to_owned();
    assert!(office.browser.get(&errors).await.text.contains("broken"));
    assert_eq!(office.browser.get(&path).await.find("a[href*='/import/'] .badge").len(), 2, "once each");
}
