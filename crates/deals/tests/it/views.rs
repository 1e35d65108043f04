use std::collections::BTreeMap;

use guildhall_deals::{Clients, Deals, Filter, NewView, OrganizationId, SavedViews, Sharing, View, ViewPatch, Viewed};
use guildhall_kernel::IfMatch;

use crate::harness::{Harness, code, deal, deals, invalid_fields, page, person};

async fn view(harness: &Harness, user: i64, org: OrganizationId, name: &str, shared: Sharing) -> View {
    let new = NewView {
        entity: Viewed::Deals,
        name: name.to_owned(),
        filters: BTreeMap::from([("status".to_owned(), "won".to_owned())]),
        ordering: "number".to_owned(),
        columns: vec!["number".to_owned(), "title".to_owned()],
        shared,
    };
    harness.views.create_view(&person(user), org, new).await.unwrap()
}

#[tokio::test]
async fn views_are_visible_to_those_they_are_shared_with() {
    let harness = deals().await;
    let org = harness.org().await;
    let team = harness.team_of(org, "North", None).await;
    harness.join(org, 2, "sales_manager", Some(team)).await;
    harness.join(org, 3, "admin", Some(team)).await;
    harness.join(org, 4, "admin", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    for (title, stage) in [("old", "won"), ("new", "lead"), ("newer", "won")] {
        let stage = Some(guildhall_deals::StageRef::Name(stage.to_owned()));
        let new = guildhall_deals::NewDeal { stage, ..deal(client, title, "1") };
        harness.sales.create_deal(&person(1), org, None, new, None).await.unwrap();
    }
    let own = view(&harness, 2, org, "Mine", Sharing::Private).await;
    let of_team = view(&harness, 2, org, "Ours", Sharing::Team).await;
    let for_all = view(&harness, 2, org, "Everybody's", Sharing::Organization).await;
    let names = async |user: i64| {
        let seen = harness.views.views(&person(user), org, Some(Viewed::Deals), page()).await.unwrap().results;
        seen.into_iter().map(|view| view.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(2).await, "Mine Ours Everybody's");
    assert_eq!(names(3).await, "Ours Everybody's");
    assert_eq!(names(4).await, "Everybody's");
    for (user, id) in [(3, own.id), (4, own.id), (4, of_team.id)] {
        assert_eq!(code(harness.views.view(&person(user), org, id).await), "not_found");
        let filter = Filter::new([("view", id.to_string())]);
        let list = harness.deals.sales.deals(&person(user), org, None, filter, page()).await;
        assert_eq!(code(list), "not_found");
    }
    let id = for_all.id.to_string();
    assert_eq!(harness.titles(1, org, &[("view", &id)]).await, ["old", "newer"]);
    // Other parameters override the filters of the view.
    assert_eq!(harness.titles(1, org, &[("view", &id), ("status", "open")]).await, ["new"]);
    assert_eq!(harness.titles(1, org, &[("view", &id), ("q", "newer")]).await, ["newer"]);
    let clients = harness.clients.clients(&person(1), org, Filter::new([("view", id)]), page()).await;
    assert_eq!(code(clients), "not_found");
}

#[tokio::test]
async fn views_belong_to_their_creator_and_accept_only_valid_filters() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let mine = view(&harness, 2, org, "Mine", Sharing::Private).await;
    let patch = |shared| ViewPatch { shared: Some(shared), ..ViewPatch::default() };
    let share =
        harness.views.change_view(&person(2), org, mine.id, patch(Sharing::Organization), IfMatch::default()).await;
    assert_eq!(code(share), "not_granted");
    let shared = view(&harness, 1, org, "Ours", Sharing::Organization).await;
    let by_another =
        harness.views.change_view(&person(2), org, shared.id, ViewPatch::default(), IfMatch::default()).await;
    assert_eq!(code(by_another), "not_granted");
    assert_eq!(code(harness.views.delete_view(&person(3), org, mine.id, IfMatch::default()).await), "not_found");
    let invalid =
        ViewPatch { filters: Some(BTreeMap::from([("colour".to_owned(), "red".to_owned())])), ..ViewPatch::default() };
    assert_eq!(
        invalid_fields(harness.views.change_view(&person(2), org, mine.id, invalid, IfMatch::default()).await),
        ["colour"]
    );
    let invalid = ViewPatch { ordering: Some("colour".to_owned()), ..ViewPatch::default() };
    assert_eq!(
        invalid_fields(harness.views.change_view(&person(2), org, mine.id, invalid, IfMatch::default()).await),
        ["ordering"]
    );
    let duplicate = NewView {
        entity: Viewed::Deals,
        name: "MINE".to_owned(),
        filters: BTreeMap::new(),
        ordering: String::new(),
        columns: Vec::new(),
        shared: Sharing::Private,
    };
    assert_eq!(code(harness.views.create_view(&person(2), org, duplicate).await), "duplicate");
    harness.views.delete_view(&person(2), org, mine.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.db.count_rows("deals_view").await, 1);
}
