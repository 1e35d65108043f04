use guildhall_deals::{
    ClientPatch, Clients, ContactPatch, Contacts, DealPatch, Deals, Filter, Merges, NewClient, NewContact, NewDeal,
    OrganizationId, Search,
};
use guildhall_kernel::{CursorQuery, IfMatch, UserId, db};

use crate::harness::{Harness, code, deal, deals, invalid_fields, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

fn named(name: &str, email: &str) -> NewClient {
    NewClient { name: name.into(), email: email.into(), ..NewClient::default() }
}

#[tokio::test]
async fn clients_are_created_found_changed_and_archived() {
    let harness = deals().await;
    let org = harness.org().await;
    let new = NewClient { phone: "+49 (30) 123-456".into(), ..named("  Müller & Söhne  ", "Info@Mueller.example") };
    let client = harness.clients.create_client(&person(1), org, new).await.unwrap();
    assert_eq!(
        (client.name.as_str(), client.owner.as_ref().map(|owner| owner.id)),
        ("Müller & Söhne", Some(UserId(1)))
    );
    assert_eq!(Clients::client(&harness.deals.clients, &person(1), org, client.id).await.unwrap(), client);
    assert_eq!(
        code(harness.clients.create_client(&person(1), org, named("x", "INFO@mueller.EXAMPLE")).await),
        "duplicate"
    );
    for invalid in [named("", ""), named("x\ny", ""), named("x", "nobody"), named("x", "a@b@c"), named("x", "a b@c")] {
        assert!(!invalid_fields(harness.clients.create_client(&person(1), org, invalid).await).is_empty());
    }
    let count = async |filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        harness.clients.clients(&person(1), org, filter, page()).await.unwrap().count
    };
    for (name, value) in [("q", "MÜLLER"), ("search", "söhne"), ("q", "123-456"), ("email", "info@MUELLER.example")] {
        assert_eq!(count(&[(name, value)]).await, 1, "{value}");
    }
    assert_eq!(count(&[("owner", "2")]).await, 0);
    let patch = ClientPatch { name: Some("Meier".into()), ..ClientPatch::default() };
    let known = IfMatch::only(client.updated_at.into());
    let id = client.id;
    let deal = harness.deal_of(1, org, id, "1").await;
    let changed = harness.clients.change_client(&person(1), org, id, patch.clone(), known.clone()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.email.as_str()), ("Meier", "Info@Mueller.example"));
    assert_eq!(code(harness.clients.change_client(&person(1), org, id, patch, known).await), "stale");
    assert_eq!(harness.titles(1, org, &[("q", "meier")]).await, ["Website"], "deals are found by the new name");
    assert!(harness.titles(1, org, &[("q", "müller")]).await.is_empty());
    assert_eq!(harness.titles(1, org, &[("q", "website")]).await, ["Website"]);
    assert_eq!(harness.read(1, org, deal.id).await.client.name, "Meier");
    let log = harness.clients.client_changes(&person(1), org, id, CursorQuery::newest(5)).await.unwrap().results;
    assert_eq!(log[0].changes["name"], ("Müller & Söhne".into(), "Meier".into()));
    harness.clients.archive_client(&person(1), org, id, true).await.unwrap();
    assert_eq!((count(&[]).await, count(&[("archived", "all")]).await), (0, 1));
}

#[tokio::test]
async fn a_client_has_one_primary_contact() {
    let harness = deals().await;
    let org = harness.org().await;
    let (one, two) = (harness.client_of(1, org, "One").await.id, harness.client_of(1, org, "Two").await.id);
    let contact = |name: &str, is_primary| NewContact { first_name: name.into(), is_primary, ..NewContact::default() };
    let ann = harness.clients.create_contact(&person(1), org, one, contact("Ann", true)).await.unwrap();
    let bob = harness.clients.create_contact(&person(1), org, one, contact("Bob", true)).await.unwrap();
    let listed = harness.clients.contacts(&person(1), org, one, page()).await.unwrap().results;
    assert_eq!(listed.iter().map(|contact| contact.is_primary).collect::<Vec<_>>(), [false, true]);
    let first = ContactPatch { is_primary: Some(true), ..ContactPatch::default() };
    harness.clients.change_contact(&person(1), org, one, ann.id, first, any()).await.unwrap();
    assert!(!harness.clients.contact(&person(1), org, one, bob.id).await.unwrap().is_primary);
    // The contact is not found under another client.
    assert_eq!(code(harness.clients.contact(&person(1), org, two, ann.id).await), "not_found");
    let invalid = NewDeal { contact_id: Some(ann.id), ..deal(two, "x", "1") };
    assert_eq!(invalid_fields(harness.sales.create_deal(&person(1), org, None, invalid, None).await), ["contact_id"]);
    let valid = NewDeal { contact_id: Some(ann.id), ..deal(one, "x", "1") };
    harness.sales.create_deal(&person(1), org, None, valid, None).await.unwrap();
    harness.clients.delete_contact(&person(1), org, one, ann.id, any()).await.unwrap();
    assert_eq!(harness.clients.contacts(&person(1), org, one, page()).await.unwrap().count, 1);
}

#[tokio::test]
async fn reassigning_a_client_requires_a_permission() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let id = harness.client_of(2, org, "x").await.id;
    let to = |user| ClientPatch { owner_id: Some(UserId(user)), ..ClientPatch::default() };
    assert_eq!(code(harness.clients.change_client(&person(2), org, id, to(3), any()).await), "not_granted");
    assert_eq!(invalid_fields(harness.clients.change_client(&person(1), org, id, to(40), any()).await), ["owner_id"]);
    harness.clients.change_client(&person(1), org, id, to(3), any()).await.unwrap();
    assert!(Clients::client(&harness.deals.clients, &person(3), org, id).await.is_ok());
    assert!(Clients::client(&harness.deals.clients, &person(2), org, id).await.is_ok(), "the creator keeps access");
    harness.db.sql("UPDATE deals_organization SET creator_keeps_access = false").await.unwrap();
    assert_eq!(code(Clients::client(&harness.deals.clients, &person(2), org, id).await), "client_not_found");
}

#[tokio::test]
async fn search_covers_clients_contacts_and_deals() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let mine = harness.client_of(1, org, "Straßenbau Meier").await.id;
    let theirs = harness.client_of(2, org, "Strasse & Co").await.id;
    harness.deal_of(1, org, mine, "1").await;
    for (user, client, name) in [(1, mine, "Anna Straßner"), (2, theirs, "Ben")] {
        let (first_name, last_name) = name.split_once(' ').unwrap_or((name, ""));
        let new = NewContact {
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            phone: "0664 strass".to_owned(),
            ..NewContact::default()
        };
        harness.clients.create_contact(&person(user), org, client, new).await.unwrap();
    }
    let find = async |user: i64, query: &str| {
        let found = harness.sales.search(&person(user), org, query.to_owned()).await.unwrap();
        (
            found.clients.into_iter().map(|client| client.name).collect::<Vec<_>>().join(", "),
            found.contacts.into_iter().map(|contact| contact.first_name).collect::<Vec<_>>().join(", "),
            found.deals.len(),
        )
    };
    assert_eq!(find(1, "STRASS").await, ("Strasse & Co, Straßenbau Meier".into(), "Ben, Anna".into(), 1));
    assert_eq!(find(2, "strass").await, ("Strasse & Co".into(), "Ben".into(), 0));
    assert_eq!(find(1, "bau strass").await, ("Straßenbau Meier".into(), String::new(), 1));
    assert_eq!(find(1, "dlid0001").await.2, 1);
    assert_eq!(find(1, "be").await.1, "Ben");
    assert_eq!(invalid_fields(harness.sales.search(&person(1), org, " ".into()).await), ["q"]);
    let contacts = harness.clients.contacts(&person(1), org, mine, page()).await.unwrap().results;
    let patch = ContactPatch { last_name: Some("Huber".into()), phone: Some(String::new()), ..ContactPatch::default() };
    harness.clients.change_contact(&person(1), org, mine, contacts[0].id, patch, IfMatch::default()).await.unwrap();
    assert_eq!(find(1, "huber").await.1, "Anna");
    assert_eq!(find(1, "strass").await.1, "Ben");
}

/// The stored search texts of the clients and the deals of an organization.
async fn search_texts(harness: &Harness, org: OrganizationId) -> [Vec<String>; 2] {
    let conn = harness.db.conn();
    let clients = "SELECT search_text FROM deals_client WHERE org_id = $1 ORDER BY id";
    let deals = "SELECT search_text FROM deals_deal WHERE org_id = $1 ORDER BY number";
    [db::scalars(conn, clients, [org.into()]).await.unwrap(), db::scalars(conn, deals, [org.into()]).await.unwrap()]
}

/// Asserts that the search texts are those of the same clients and deals created in a new organization.
async fn assert_search_texts_are_fresh(harness: &Harness, org: OrganizationId) {
    let me = &person(1);
    let fresh = harness.org_of(1, "Fresh").await;
    let deals = harness.sales.deals(me, org, None, Filter::default(), page().ordered("number")).await.unwrap().results;
    let clients = harness.clients.clients(me, org, Filter::default(), page().ordered("id")).await.unwrap().results;
    let mut ids = std::collections::HashMap::new();
    for client in clients {
        let new = NewClient { phone: client.phone, ..named(&client.name, &client.email) };
        ids.insert(client.id, harness.clients.create_client(me, fresh, new).await.unwrap().id);
    }
    for old in deals {
        let new = deal(ids[&old.client_id], &old.title, "1");
        harness.sales.create_deal(me, fresh, None, new, None).await.unwrap();
    }
    assert_eq!(search_texts(harness, org).await, search_texts(harness, fresh).await);
}

#[tokio::test]
async fn search_texts_are_the_same_after_changes_as_after_creation() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let new = NewClient { phone: " 030 12345 ".into(), ..named("Straße & Söhne", "Info@example.org") };
    let client = harness.clients.create_client(me, org, new).await.unwrap().id;
    let other = harness.clients.create_client(me, org, named("Söhne", "")).await.unwrap().id;
    let mut ids = Vec::new();
    for (client, title) in [(client, "Website"), (client, "Straße & Söhne"), (other, "Ångström")] {
        let created = harness.sales.create_deal(me, org, None, deal(client, title, "1"), None).await.unwrap();
        ids.push(crate::harness::created(created).id);
    }
    assert_search_texts_are_fresh(&harness, org).await;
    let change = async |patch| harness.clients.change_client(me, org, client, patch, any()).await.unwrap();
    for name in ["Ü", "A much longer name 東京", "a MUCH longer name 東京", "Straße & Söhne"] {
        change(ClientPatch { name: Some(name.into()), ..ClientPatch::default() }).await;
        assert_search_texts_are_fresh(&harness, org).await;
    }
    change(ClientPatch { email: Some("new@example.org".into()), phone: Some(String::new()), ..ClientPatch::default() })
        .await;
    let patch = DealPatch { title: Some("Große Website".into()), ..DealPatch::default() };
    harness.sales.change_deal(me, org, ids[0].into(), patch, any()).await.unwrap();
    assert_search_texts_are_fresh(&harness, org).await;
    harness.clients.merge_clients(me, org, other, client).await.unwrap();
    assert_search_texts_are_fresh(&harness, org).await;
}

#[tokio::test]
async fn fault_r17_merging_keeps_the_details_of_both_clients() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let full = |n: u32| NewClient {
        phone: format!("030 {n}"),
        website: format!("https://{n}.example"),
        address: format!("Street {n}"),
        tax_id: format!("DE{n}"),
        notes: format!("Note {n}"),
        ..named(&format!("Client {n}"), &format!("{n}@example.org"))
    };
    let one = harness.clients.create_client(me, org, full(1)).await.unwrap().id;
    let other = harness.clients.create_client(me, org, full(2)).await.unwrap().id;
    let merged = harness.clients.merge_clients(me, org, one, other).await.unwrap();
    assert_eq!((merged.address.as_str(), merged.tax_id.as_str()), ("Street 1", "DE1"));
    for detail in ["Note 1", "Client 2", "2@example.org", "030 2", "https://2.example", "Street 2", "DE2", "Note 2"] {
        assert!(merged.notes.contains(detail), "{detail}: {}", merged.notes);
    }
    let logged =
        "SELECT COUNT(*) FROM kernel_audit_event WHERE action = 'deals.merge_clients' AND detail LIKE '%Street 2%'";
    assert!(harness.db.query_i64(logged).await >= 1);
}

#[tokio::test]
async fn fault_r20_null_clears_a_text_or_is_rejected() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let new = NewClient { notes: "Notes".into(), ..named("x", "a@b.example") };
    let id = harness.clients.create_client(me, org, new).await.unwrap().id;
    let patch = |json: serde_json::Value| serde_json::from_value::<ClientPatch>(json);
    let both = patch(serde_json::json!({"email": null, "notes": null})).unwrap();
    let changed = harness.clients.change_client(me, org, id, both, any()).await.unwrap();
    assert_eq!((changed.email.as_str(), changed.notes.as_str(), changed.name.as_str()), ("", "", "x"));
    let without_name = patch(serde_json::json!({"name": null})).unwrap();
    assert_eq!(invalid_fields(harness.clients.change_client(me, org, id, without_name, any()).await), ["name"]);
    assert!(patch(serde_json::json!({"owner_id": null})).is_err(), "a client always has an owner");
    let description = serde_json::json!({"description": null, "source": null});
    let patch: guildhall_deals::DealPatch = serde_json::from_value(description).unwrap();
    assert_eq!((patch.description.as_deref(), patch.source.as_deref(), patch.title), (Some(""), Some(""), None));
}

#[tokio::test]
async fn fault_r23_the_spelling_of_a_domain_does_not_make_an_email_unique() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.clients.create_client(&person(1), org, named("x", "info@müller.example")).await.unwrap();
    for email in ["info@xn--mller-kva.example", "INFO@MÜLLER.example"] {
        assert_eq!(
            code(harness.clients.create_client(&person(1), org, named("y", email)).await),
            "duplicate",
            "{email}"
        );
    }
}
