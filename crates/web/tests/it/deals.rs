//! Organizations with their clients, deals, payments, tasks and members.

mod board;
mod clients;
mod deal;
mod payments;

use std::collections::BTreeMap;

use guildhall_deals::{
    Activities, Amount, Client, Clients, CloseDeal, Contacts, Currency, Deal, DealStatus, Deals, Invitations, Member,
    Members, NewActivity, NewClient, NewContact, NewDeal, NewMember, NewOrganization, NewPayment, NewTask,
    Organization, Organizations, PaymentMethod, Payments, Roles, Tasks,
};
use guildhall_kernel::{Caller, IfMatch, PageQuery, idempotency::Idempotent};

use crate::{
    browser::{Browser, Page},
    harness::{Site, site},
    markup::PAYLOAD,
};

/// An organization of a user.
pub(crate) async fn organization(site: &Site, owner: &Caller, name: &str) -> Organization {
    let new = NewOrganization { name: name.into(), is_test: false, default_currency: Currency::from_code("EUR") };
    site.deals.tenancy.create_organization(owner, new).await.unwrap()
}

pub(crate) async fn client(site: &Site, owner: &Caller, org: &Organization, name: &str) -> Client {
    let new = NewClient { name: name.into(), ..NewClient::default() };
    site.deals.clients.create_client(owner, org.id, new).await.unwrap()
}

pub(crate) async fn deal(site: &Site, owner: &Caller, client: (&Organization, &Client), title: &str) -> Deal {
    let new = NewDeal {
        client_id: Some(client.1.id),
        title: title.into(),
        description: title.into(),
        value: Some(Amount::new("1200.50")),
        currency: None,
        pipeline_id: None,
        stage: None,
        contact_id: None,
        probability: None,
        source: String::new(),
        expected_close_date: None,
        owner_id: None,
        custom: BTreeMap::new(),
    };
    match site.deals.sales.create_deal(owner, client.0.id, None, new, None).await.unwrap() {
        Idempotent::Created(deal) => deal,
        Idempotent::Replayed(_) => panic!("the deal was created before"),
    }
}

/// A payment of a deal that waits for a decision.
pub(crate) async fn payment(site: &Site, owner: &Caller, org: &Organization, deal: &Deal, amount: &str) -> i64 {
    let new = NewPayment {
        amount: Amount::new(amount),
        currency: None,
        method: PaymentMethod::Bank,
        received_on: None,
        reference: "ref".into(),
        cheque_number: None,
    };
    match site.deals.ledger.record_payment(owner, org.id, deal.id.into(), new, None).await.unwrap() {
        Idempotent::Created(payment) => payment.id.0,
        Idempotent::Replayed(_) => panic!("the payment was recorded before"),
    }
}

/// A user as a member with a preset role.
async fn member(site: &Site, owner: &Caller, org: &Organization, user: &Caller, role: &str) -> Member {
    let roles = site.deals.tenancy.roles(owner, org.id, PageQuery::new(1, 20)).await.unwrap().results;
    let role_id = roles.into_iter().find(|found| found.key.as_deref() == Some(role)).unwrap().id;
    let new = NewMember { user_id: user.user, role_id, team_id: None, leads_team: false };
    let member = site.deals.tenancy.add_member(owner, org.id, new).await.unwrap();
    site.deals.tenancy.accept_invitation(user, member.id).await.unwrap()
}

/// An organization whose names and texts are hostile, and the pages of it.
pub(crate) async fn hostile(site: &Site, (anna, ben): (&Caller, &Caller)) -> Vec<String> {
    let org = organization(site, anna, PAYLOAD).await;
    let (one, two) = (client(site, anna, &org, PAYLOAD).await, client(site, anna, &org, PAYLOAD).await);
    let new = NewContact { first_name: PAYLOAD.into(), title: PAYLOAD.into(), ..NewContact::default() };
    let contact = site.deals.clients.create_contact(anna, org.id, one.id, new).await.unwrap().id;
    let open = deal(site, anna, (&org, &one), PAYLOAD).await.id;
    let lost = deal(site, anna, (&org, &one), PAYLOAD).await;
    let paid = payment(site, anna, &org, &lost, "5").await;
    let closing = CloseDeal { reason: PAYLOAD.into() };
    site.deals.sales.close_deal(anna, org.id, lost.id.into(), DealStatus::Lost, closing).await.unwrap();
    let new = NewActivity { content: PAYLOAD.into(), ..NewActivity::default() };
    site.deals.tasks.log_activity(anna, org.id, open.into(), new).await.unwrap();
    let new = NewTask { title: PAYLOAD.into(), deal_id: Some(open), ..NewTask::default() };
    site.deals.tasks.create_task(anna, org.id, new).await.unwrap();
    let trashed = client(site, anna, &org, PAYLOAD).await;
    let any = IfMatch::default();
    site.deals.clients.delete_client(anna, org.id, trashed.id, false, None, any).await.unwrap();
    let other = organization(site, ben, PAYLOAD).await;
    let roles = site.deals.tenancy.roles(ben, other.id, PageQuery::new(1, 20)).await.unwrap().results;
    let new = NewMember { user_id: anna.user, role_id: roles[1].id, team_id: None, leads_team: false };
    site.deals.tenancy.add_member(ben, other.id, new).await.unwrap();
    let (client, lost) = (one.id, lost.id);
    let pages = [
        "board/".to_owned(),
        "list/".to_owned(),
        "list/?q=script&sort=-value".to_owned(),
        "clients/".to_owned(),
        "clients/new/".to_owned(),
        format!("clients/{client}/"),
        format!("clients/{}/", two.id),
        format!("clients/{client}/edit/"),
        format!("clients/{client}/contacts/new/"),
        format!("clients/{client}/contacts/{contact}/"),
        "deals/new/".to_owned(),
        format!("deals/new/?client={client}"),
        format!("deals/{open}/"),
        format!("deals/{lost}/"),
        format!("deals/{open}/edit/"),
        format!("deals/{open}/move/"),
        format!("deals/{open}/close/"),
        format!("deals/{open}/payments/new/"),
        format!("deals/{lost}/payments/{paid}/"),
        "verification/".to_owned(),
        "tasks/".to_owned(),
        "reports/".to_owned(),
        "import/".to_owned(),
        "people/".to_owned(),
        "trash/".to_owned(),
    ];
    let pages = pages.into_iter().map(|page| format!("/deals/{}/{page}", org.id));
    pages.chain(["/deals/organizations/".to_owned()]).collect()
}

/// Anna with her organization, a client and a deal.
struct Office {
    site: Site,
    anna: Caller,
    browser: Browser,
    org: Organization,
    client: Client,
    deal: Deal,
}

impl Office {
    async fn open() -> Self {
        let site = Box::pin(site()).await;
        let (anna, browser) = site.signed_in("anna").await;
        let org = organization(&site, &anna, "Northlight").await;
        let client = client(&site, &anna, &org, "St Brannoc").await;
        let deal = deal(&site, &anna, (&org, &client), "Pews").await;
        Self { site, anna, browser, org, client, deal }
    }

    fn url(&self, path: &str) -> String {
        format!("/deals/{}/{path}", self.org.id)
    }

    fn deal_url(&self, path: &str) -> String {
        self.url(&format!("deals/{}/{path}", self.deal.id))
    }

    async fn current(&self) -> Deal {
        self.site.deals.sales.deal(&self.anna, self.org.id, self.deal.id.into(), None).await.unwrap()
    }

    /// The id of the stage with a name on the board.
    fn stage(board: &Page, name: &str) -> String {
        let column = board.find(".col").into_iter().find(|column| column.value().attr("data-name") == Some(name));
        column.unwrap().value().attr("data-stage").unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_organization_is_created_with_a_form() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    assert_eq!(browser.get("/deals/").await.location(), "/deals/organizations/");
    let path = "/deals/organizations/";
    let page = browser.fill(path, path, &[("name", ""), ("default_currency", "EUR")]).await;
    assert_eq!((page.status.as_u16(), page.text_of("#name-error")), (422, "Fill this in.".to_owned()));
    let page = browser.fill(path, path, &[("name", "Northlight"), ("default_currency", "gold")]).await;
    assert_eq!(page.text_of("#default_currency-error"), "Enter a currency code such as EUR.");
    let page = browser.fill(path, path, &[("name", "Northlight"), ("default_currency", "eur")]).await;
    let created = page.location().to_owned();
    let page = browser.follow(&page).await;
    assert!(page.status == 200 && page.find(".col").len() > 3, "{}", page.text);
    assert_eq!(browser.get("/deals/").await.location(), created.trim_end_matches("board/"), "the only one is opened");
}

#[tokio::test]
async fn an_invitation_is_accepted_and_declined() {
    let office = Office::open().await;
    let (_, ben) = office.site.signed_in("ben").await;
    let roles = office.browser.get(&office.url("people/")).await;
    let role = roles.find("#role_id option")[0].value().attr("value").unwrap().to_owned();
    let fields = [("whom", "@BEN"), ("role_id", role.as_str())];
    let page = office.browser.fill(&office.url("people/"), &office.url("people/"), &fields).await;
    assert_eq!(page.location(), office.url("people/"), "{}", page.text);
    assert_eq!(ben.get(&office.url("board/")).await.status, 404);
    let page = ben.get("/deals/organizations/").await;
    let action = page.find("form[action$='/accept/']")[0].value().attr("action").unwrap().to_owned();
    ben.submit(&page, &action, &[]).await;
    assert_eq!(ben.get(&office.url("people/")).await.status, 200);
    let page = office.browser.fill(&office.url("people/"), &office.url("people/"), &[("whom", "nobody")]).await;
    assert_eq!((page.status.as_u16(), page.find("#whom-error").len()), (422, 1));
}

#[tokio::test]
async fn strangers_do_not_find_an_organization() {
    let office = Office::open().await;
    let (_, ben) = office.site.signed_in("ben").await;
    for path in ["", "board/", "list/", "clients/", "reports/", "people/", "trash/", "tasks/", "import/"] {
        assert_eq!(ben.get(&office.url(path)).await.status, 404, "{path}");
    }
    assert_eq!(ben.get(&office.deal_url("")).await.status, 404);
}

#[tokio::test]
async fn a_role_sees_only_its_own_tabs() {
    let office = Office::open().await;
    let (ben, browser) = office.site.signed_in("ben").await;
    member(&office.site, &office.anna, &office.org, &ben, "viewer").await;
    let page = browser.get(&office.url("board/")).await;
    let tabs: Vec<&str> = page.find("nav.tabs a").iter().filter_map(|tab| tab.value().attr("href")).collect();
    assert!(tabs.iter().any(|tab| tab.ends_with("/clients/")), "{tabs:?}");
    assert!(!tabs.iter().any(|tab| tab.ends_with("/trash/") || tab.ends_with("/import/")), "{tabs:?}");
    assert!(page.find(".move").is_empty() && page.find("a[href$='/deals/new/']").is_empty());
    assert_eq!(browser.get(&office.url("reports/")).await.status, 403);
}

#[tokio::test]
async fn members_get_another_role_and_are_deactivated() {
    let office = Office::open().await;
    let (ben, browser) = office.site.signed_in("ben").await;
    let member = member(&office.site, &office.anna, &office.org, &ben, "viewer").await;
    let (people, url) = (office.url("people/"), office.url(&format!("people/{}/", member.id)));
    let page = office.browser.get(&people).await;
    let role = page.find("button[name=role_id]").into_iter().find(|button| button.html().contains("Salesperson"));
    let role = role.unwrap().value().attr("value").unwrap().to_owned();
    office.browser.submit(&page, &url, &[("role_id", &role)]).await;
    assert!(office.browser.get(&people).await.text.contains("Salesperson ·"));
    office.browser.fill(&people, &url, &[("status", "deactivated")]).await;
    assert_eq!(browser.get(&people).await.status, 404);
    office.browser.fill(&people, &url, &[("status", "active")]).await;
    assert_eq!(browser.get(&people).await.status, 200);
    office.browser.fill(&people, &format!("{url}remove/"), &[]).await;
    assert_eq!(browser.get(&people).await.status, 404);
    let page = office.browser.fill(&people, &office.url("leave/"), &[]).await;
    assert_eq!(page.status, 409, "the last owner stays");
}
