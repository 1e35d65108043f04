use std::collections::BTreeMap;

use guildhall_deals::{
    ClientPatch, Clients, CustomField, CustomFieldPatch, CustomFields, CustomKind, Customized, DealPatch, Deals,
    Filter, NewClient, NewCustomField, NewView, OrganizationId, Sharing, View, ViewPatch, Viewed, Views,
};
use guildhall_kernel::{IfMatch, SliceQuery};
use serde_json::{Value, json};

use crate::harness::{Harness, code, deal, deals, faults, made, page, person};

fn field(entity: Customized, key: &str, kind: CustomKind) -> NewCustomField {
    let options = if kind == CustomKind::Choice { vec!["North".to_owned(), "South".to_owned()] } else { Vec::new() };
    NewCustomField { entity, key: key.to_owned(), name: key.to_owned(), kind, options, is_required: false }
}

fn said(values: Value) -> BTreeMap<String, Value> {
    serde_json::from_value(values).unwrap()
}

async fn add(harness: &Harness, org: OrganizationId, new: NewCustomField) -> CustomField {
    harness.create_custom_field(&person(1), org, new).await.unwrap()
}

async fn with_fields() -> (Harness, OrganizationId) {
    let harness = deals().await;
    let org = harness.org().await;
    for (key, kind) in [
        ("region", CustomKind::Choice),
        ("size", CustomKind::Number),
        ("signed", CustomKind::Day),
        ("hot", CustomKind::Boolean),
        ("nick", CustomKind::Text),
    ] {
        add(&harness, org, field(Customized::Deal, key, kind)).await;
    }
    (harness, org)
}

#[tokio::test]
async fn lists_are_narrowed_by_fields_of_ones_own() {
    let (harness, org) = with_fields().await;
    let client = harness.client_of(1, org, "x").await.id;
    for (title, values) in [
        ("a", json!({"region": "North", "size": "1.5", "signed": "2025-01-01", "hot": true, "nick": "Straße"})),
        ("b", json!({"region": "South", "size": "20", "signed": "2025-02-01", "hot": false})),
        ("c", json!({})),
    ] {
        let new = guildhall_deals::NewDeal { custom: said(values), ..deal(client, title, "1") };
        harness.create_deal(&person(1), org, None, new, None).await.unwrap();
    }
    for (name, value, expected) in [
        ("cf_region", "North", "a"),
        ("cf_region__in", "North, South", "ab"),
        ("cf_size", "1.50", "a"),
        ("cf_size__gt", "2", "b"),
        ("cf_size__lte", "20", "ab"),
        ("cf_signed__gte", "2025-01-15", "b"),
        ("cf_hot", "false", "b"),
        ("cf_nick", "STRASSE", "a"),
        ("cf_hot__isnull", "true", "c"),
        ("cf_hot__isnull", "false", "ab"),
    ] {
        let mut titles = harness.titles(1, org, &[(name, value)]).await;
        titles.sort();
        assert_eq!(titles.concat(), expected, "{name}={value}");
    }
    let me = &person(1);
    for (name, value) in [
        ("cf_none", "1"),
        ("cf_size", "many"),
        ("cf_region", "West"),
        ("cf_nick__gt", "a"),
        ("cf_hot__isnull", "maybe"),
        ("cf_size__near", "1"),
    ] {
        let list = harness.deals.deals(me, org, None, Filter::new([(name, value)]), page()).await;
        assert_eq!(faults(list), [name]);
    }
}

#[tokio::test]
async fn what_a_field_says_is_changed_and_remembered_and_goes_with_it() {
    let (harness, org) = with_fields().await;
    let me = &person(1);
    let client = harness.client_of(1, org, "x").await.id;
    let new = guildhall_deals::NewDeal { custom: said(json!({"size": 3, "hot": true})), ..deal(client, "x", "1") };
    let before = made(harness.create_deal(me, org, None, new, None).await.unwrap());
    assert_eq!(before.custom, said(json!({"size": "3", "hot": true})));
    let patch = DealPatch { custom: Some(said(json!({"size": "4.25", "hot": null}))), ..DealPatch::default() };
    let after = harness.change_deal(me, org, before.id.into(), patch, IfMatch::default()).await.unwrap();
    assert_eq!(after.custom, said(json!({"size": "4.25"})));
    assert!(harness.titles(1, org, &[("cf_hot", "true")]).await.is_empty());
    let then = Deals::deal(&harness.deals, me, org, before.id.into(), Some(before.updated_at)).await.unwrap();
    assert_eq!(then.custom, before.custom);
    let log = harness.deal_changes(me, org, before.id.into(), SliceQuery::newest(1)).await.unwrap();
    assert_eq!(log.results[0].changes["custom.size"], (json!("3"), json!("4.25")));
    assert_eq!(log.results[0].changes["custom.hot"], (json!(true), json!(null)));

    let wrong = DealPatch { custom: Some(said(json!({"size": 0.1, "what": 1}))), ..DealPatch::default() };
    let refused = harness.change_deal(me, org, before.id.into(), wrong, IfMatch::default()).await;
    assert_eq!(faults(refused), ["custom.size", "custom.what"]);
    assert_eq!(harness.read(1, org, before.id).await.custom, after.custom);

    let fields = harness.custom_fields(me, org, page()).await.unwrap().results;
    let size = fields.iter().find(|field| field.key == "size").unwrap();
    harness.delete_custom_field(me, org, size.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.read(1, org, before.id).await.custom, said(json!({})));
    assert_eq!(harness.rows("deals_custom_value").await, 0);
    // One of the same name is another field, and knows nothing of what the first one said.
    add(&harness, org, field(Customized::Deal, "size", CustomKind::Text)).await;
    assert_eq!(harness.read(1, org, before.id).await.custom, said(json!({})));
}

#[tokio::test]
async fn a_field_is_named_once_and_managed_by_those_who_may() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let me = &person(1);
    let region = add(&harness, org, field(Customized::Client, "region", CustomKind::Choice)).await;
    let again = field(Customized::Client, "region", CustomKind::Text);
    assert_eq!(code(harness.create_custom_field(me, org, again).await), "duplicate");
    add(&harness, org, field(Customized::Deal, "region", CustomKind::Text)).await;
    let by_another = harness.create_custom_field(&person(2), org, field(Customized::Deal, "x", CustomKind::Text)).await;
    assert_eq!(code(by_another), "not_granted");
    for key in ["", "Region", "a__b", "a_", "1a", "a-b"] {
        let new = NewCustomField { name: "x".to_owned(), ..field(Customized::Deal, key, CustomKind::Text) };
        assert_eq!(faults(harness.create_custom_field(me, org, new).await), ["key"], "{key}");
    }
    let without = NewCustomField { options: Vec::new(), ..field(Customized::Deal, "pick", CustomKind::Choice) };
    assert_eq!(faults(harness.create_custom_field(me, org, without).await), ["options"]);

    let required = CustomFieldPatch { is_required: Some(true), ..CustomFieldPatch::default() };
    harness.change_custom_field(me, org, region.id, required, IfMatch::default()).await.unwrap();
    let new = NewClient { name: "x".to_owned(), ..NewClient::default() };
    assert_eq!(faults(harness.create_client(me, org, new.clone()).await), ["custom.region"]);
    let new = NewClient { custom: said(json!({"region": "South"})), ..new };
    let client = harness.create_client(me, org, new).await.unwrap();
    assert_eq!(client.custom, said(json!({"region": "South"})));
    let cleared = ClientPatch { custom: Some(said(json!({"region": null}))), ..ClientPatch::default() };
    assert_eq!(faults(harness.change_client(me, org, client.id, cleared, IfMatch::default()).await), ["custom.region"]);
    let other = harness.org_of(3, "Other").await;
    assert_eq!(code(harness.custom_field(&person(3), other, region.id).await), "not_found");
}

async fn view(harness: &Harness, user: i64, org: OrganizationId, name: &str, shared: Sharing) -> View {
    let new = NewView {
        entity: Viewed::Deals,
        name: name.to_owned(),
        filters: BTreeMap::from([("status".to_owned(), "won".to_owned())]),
        ordering: "number".to_owned(),
        columns: vec!["number".to_owned(), "title".to_owned()],
        shared,
    };
    harness.create_view(&person(user), org, new).await.unwrap()
}

#[tokio::test]
async fn a_view_shows_its_list_again_to_those_it_is_shared_with() {
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
        harness.create_deal(&person(1), org, None, new, None).await.unwrap();
    }
    let own = view(&harness, 2, org, "Mine", Sharing::Private).await;
    let of_team = view(&harness, 2, org, "Ours", Sharing::Team).await;
    let for_all = view(&harness, 2, org, "Everybody's", Sharing::Organization).await;
    let names = async |user: i64| {
        let seen = harness.views(&person(user), org, Some(Viewed::Deals), page()).await.unwrap().results;
        seen.into_iter().map(|view| view.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(2).await, "Mine Ours Everybody's");
    assert_eq!(names(3).await, "Ours Everybody's");
    assert_eq!(names(4).await, "Everybody's");
    for (user, id) in [(3, own.id), (4, own.id), (4, of_team.id)] {
        assert_eq!(code(harness.view(&person(user), org, id).await), "not_found");
        let filter = Filter::new([("view", id.to_string())]);
        let list = harness.deals.deals(&person(user), org, None, filter, page()).await;
        assert_eq!(code(list), "not_found");
    }
    let id = for_all.id.to_string();
    assert_eq!(harness.titles(1, org, &[("view", &id)]).await, ["old", "newer"]);
    // What is asked for besides goes before what the view says.
    assert_eq!(harness.titles(1, org, &[("view", &id), ("status", "open")]).await, ["new"]);
    assert_eq!(harness.titles(1, org, &[("view", &id), ("q", "newer")]).await, ["newer"]);
    let clients = harness.clients(&person(1), org, Filter::new([("view", id)]), page()).await;
    assert_eq!(code(clients), "not_found");
}

#[tokio::test]
async fn a_view_is_its_makers_and_says_only_what_its_list_understands() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let mine = view(&harness, 2, org, "Mine", Sharing::Private).await;
    let patch = |shared| ViewPatch { shared: Some(shared), ..ViewPatch::default() };
    let share = harness.change_view(&person(2), org, mine.id, patch(Sharing::Organization), IfMatch::default()).await;
    assert_eq!(code(share), "not_granted");
    let shared = view(&harness, 1, org, "Ours", Sharing::Organization).await;
    let by_another = harness.change_view(&person(2), org, shared.id, ViewPatch::default(), IfMatch::default()).await;
    assert_eq!(code(by_another), "not_granted");
    assert_eq!(code(harness.delete_view(&person(3), org, mine.id, IfMatch::default()).await), "not_found");
    let wrong =
        ViewPatch { filters: Some(BTreeMap::from([("colour".to_owned(), "red".to_owned())])), ..ViewPatch::default() };
    assert_eq!(faults(harness.change_view(&person(2), org, mine.id, wrong, IfMatch::default()).await), ["colour"]);
    let wrong = ViewPatch { ordering: Some("colour".to_owned()), ..ViewPatch::default() };
    assert_eq!(faults(harness.change_view(&person(2), org, mine.id, wrong, IfMatch::default()).await), ["ordering"]);
    let twice = NewView {
        entity: Viewed::Deals,
        name: "MINE".to_owned(),
        filters: BTreeMap::new(),
        ordering: String::new(),
        columns: Vec::new(),
        shared: Sharing::Private,
    };
    assert_eq!(code(harness.create_view(&person(2), org, twice).await), "duplicate");
    harness.delete_view(&person(2), org, mine.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.rows("deals_view").await, 1);
}

#[tokio::test]
async fn a_client_takes_over_what_it_lacks_from_the_one_that_it_takes_in() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    for key in ["a", "b"] {
        add(&harness, org, field(Customized::Client, key, CustomKind::Text)).await;
    }
    let named =
        |name: &str, values: Value| NewClient { name: name.to_owned(), custom: said(values), ..NewClient::default() };
    let kept = harness.create_client(me, org, named("kept", json!({"a": "mine"}))).await.unwrap().id;
    let gone = harness.create_client(me, org, named("gone", json!({"a": "theirs", "b": "more"}))).await.unwrap().id;
    let merged = harness.merge_clients(me, org, kept, gone).await.unwrap();
    assert_eq!(merged.custom, said(json!({"a": "mine", "b": "more"})));
    let found = async |name: &str, value: &str| {
        let filter = Filter::new([(name, value)]);
        harness.clients(me, org, filter, page()).await.unwrap().results.len()
    };
    assert_eq!((found("cf_b", "more").await, found("cf_a", "mine").await, found("cf_a", "theirs").await), (1, 1, 0));
}
