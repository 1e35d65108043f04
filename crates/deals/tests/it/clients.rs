use guildhall_deals::{
    ClientPatch, Clients, ContactPatch, Deals, Filter, NewClient, NewContact, NewDeal, Organizations,
};
use guildhall_kernel::{IfMatch, SliceQuery, UserId};

use crate::harness::{code, deal, deals, faults, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

fn named(name: &str, email: &str) -> NewClient {
    NewClient { name: name.into(), email: email.into(), ..NewClient::default() }
}

#[tokio::test]
async fn a_client_is_added_found_changed_and_put_aside() {
    let harness = deals().await;
    let org = harness.org().await;
    let new = NewClient { phone: "+49 (30) 123-456".into(), ..named("  Müller & Söhne  ", "Info@Mueller.example") };
    let made = harness.create_client(&person(1), org, new).await.unwrap();
    assert_eq!((made.name.as_str(), made.owner.as_ref().map(|owner| owner.id)), ("Müller & Söhne", Some(UserId(1))));
    assert_eq!(Clients::client(&harness.deals, &person(1), org, made.id).await.unwrap(), made);
    assert_eq!(code(harness.create_client(&person(1), org, named("x", "INFO@mueller.EXAMPLE")).await), "duplicate");
    for bad in [named("", ""), named("x\ny", ""), named("x", "nobody"), named("x", "a@b@c"), named("x", "a b@c")] {
        assert!(!faults(harness.create_client(&person(1), org, bad).await).is_empty());
    }
    let found = async |filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        harness.clients(&person(1), org, filter, page()).await.unwrap().count
    };
    for (name, value) in [("q", "MÜLLER"), ("search", "söhne"), ("q", "123-456"), ("email", "info@MUELLER.example")] {
        assert_eq!(found(&[(name, value)]).await, 1, "{value}");
    }
    assert_eq!(found(&[("owner", "2")]).await, 0);
    let patch = ClientPatch { name: Some("Meier".into()), ..ClientPatch::default() };
    let known = IfMatch::only(made.updated_at.into());
    let id = made.id;
    let deal = harness.deal_of(1, org, id, "1").await;
    let changed = harness.change_client(&person(1), org, id, patch.clone(), known.clone()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.email.as_str()), ("Meier", "Info@Mueller.example"));
    assert_eq!(code(harness.change_client(&person(1), org, id, patch, known).await), "stale");
    assert_eq!(harness.titles(1, org, &[("q", "meier")]).await, ["Website"], "deals follow the name");
    assert!(harness.titles(1, org, &[("q", "müller")]).await.is_empty());
    assert_eq!(harness.titles(1, org, &[("q", "website")]).await, ["Website"]);
    assert_eq!(harness.read(1, org, deal.id).await.client.name, "Meier");
    let log = harness.client_changes(&person(1), org, id, SliceQuery::newest(5)).await.unwrap().results;
    assert_eq!(log[0].changes["name"], ("Müller & Söhne".into(), "Meier".into()));
    harness.archive_client(&person(1), org, id, true).await.unwrap();
    assert_eq!((found(&[]).await, found(&[("archived", "all")]).await), (0, 1));
}

#[tokio::test]
async fn a_client_has_people_one_of_whom_is_asked_first() {
    let harness = deals().await;
    let org = harness.org().await;
    let (one, two) = (harness.client_of(1, org, "One").await.id, harness.client_of(1, org, "Two").await.id);
    let contact = |name: &str, is_primary| NewContact { first_name: name.into(), is_primary, ..NewContact::default() };
    let ann = harness.create_contact(&person(1), org, one, contact("Ann", true)).await.unwrap();
    let bob = harness.create_contact(&person(1), org, one, contact("Bob", true)).await.unwrap();
    let listed = harness.contacts(&person(1), org, one, page()).await.unwrap().results;
    assert_eq!(listed.iter().map(|contact| contact.is_primary).collect::<Vec<_>>(), [false, true]);
    let first = ContactPatch { is_primary: Some(true), ..ContactPatch::default() };
    harness.change_contact(&person(1), org, one, ann.id, first, any()).await.unwrap();
    assert!(!harness.contact(&person(1), org, one, bob.id).await.unwrap().is_primary);
    // Through another client there is no such person.
    assert_eq!(code(harness.contact(&person(1), org, two, ann.id).await), "not_found");
    let wrong = NewDeal { contact_id: Some(ann.id), ..deal(two, "x", "1") };
    assert_eq!(faults(harness.create_deal(&person(1), org, None, wrong, None).await), ["contact_id"]);
    let right = NewDeal { contact_id: Some(ann.id), ..deal(one, "x", "1") };
    harness.create_deal(&person(1), org, None, right, None).await.unwrap();
    harness.delete_contact(&person(1), org, one, ann.id, any()).await.unwrap();
    assert_eq!(harness.contacts(&person(1), org, one, page()).await.unwrap().count, 1);
}

#[tokio::test]
async fn a_client_is_given_to_others_by_those_who_may() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let id = harness.client_of(2, org, "x").await.id;
    let to = |user| ClientPatch { owner_id: Some(UserId(user)), ..ClientPatch::default() };
    assert_eq!(code(harness.change_client(&person(2), org, id, to(3), any()).await), "not_granted");
    assert_eq!(faults(harness.change_client(&person(1), org, id, to(40), any()).await), ["owner_id"]);
    harness.change_client(&person(1), org, id, to(3), any()).await.unwrap();
    assert!(Clients::client(&harness.deals, &person(3), org, id).await.is_ok());
    assert!(Clients::client(&harness.deals, &person(2), org, id).await.is_ok(), "whoever made it keeps seeing it");
    harness.sql("UPDATE deals_organization SET creator_keeps_access = false").await.unwrap();
    assert_eq!(code(Clients::client(&harness.deals, &person(2), org, id).await), "client_not_found");
}

#[tokio::test]
async fn something_is_found_without_knowing_what_it_is() {
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
        harness.create_contact(&person(user), org, client, new).await.unwrap();
    }
    let find = async |user: i64, words: &str| {
        let found = harness.search(&person(user), org, words.to_owned()).await.unwrap();
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
    assert_eq!(faults(harness.search(&person(1), org, " ".into()).await), ["q"]);
    let contacts = harness.contacts(&person(1), org, mine, page()).await.unwrap().results;
    let patch = ContactPatch { last_name: Some("Huber".into()), phone: Some(String::new()), ..ContactPatch::default() };
    harness.change_contact(&person(1), org, mine, contacts[0].id, patch, IfMatch::default()).await.unwrap();
    assert_eq!(find(1, "huber").await.1, "Anna");
    assert_eq!(find(1, "strass").await.1, "Ben");
}

#[tokio::test]
async fn fault_r17_what_both_have_is_kept_when_clients_become_one() {
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
    let kept = harness.create_client(me, org, full(1)).await.unwrap().id;
    let gone = harness.create_client(me, org, full(2)).await.unwrap().id;
    let merged = harness.merge_clients(me, org, kept, gone).await.unwrap();
    assert_eq!((merged.address.as_str(), merged.tax_id.as_str()), ("Street 1", "DE1"));
    for said in ["Note 1", "Client 2", "2@example.org", "030 2", "https://2.example", "Street 2", "DE2", "Note 2"] {
        assert!(merged.notes.contains(said), "{said}: {}", merged.notes);
    }
    let logged =
        "SELECT COUNT(*) FROM kernel_audit_event WHERE action = 'deals.merge_clients' AND detail LIKE '%Street 2%'";
    assert!(harness.number(logged).await >= 1);
}

#[tokio::test]
async fn fault_r20_null_clears_a_text_or_is_refused() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let new = NewClient { notes: "Notes".into(), ..named("x", "a@b.example") };
    let id = harness.create_client(me, org, new).await.unwrap().id;
    let patch = |json: serde_json::Value| serde_json::from_value::<ClientPatch>(json);
    let both = patch(serde_json::json!({"email": null, "notes": null})).unwrap();
    let changed = harness.change_client(me, org, id, both, any()).await.unwrap();
    assert_eq!((changed.email.as_str(), changed.notes.as_str(), changed.name.as_str()), ("", "", "x"));
    let nameless = patch(serde_json::json!({"name": null})).unwrap();
    assert_eq!(faults(harness.change_client(me, org, id, nameless, any()).await), ["name"]);
    assert!(patch(serde_json::json!({"owner_id": null})).is_err(), "there is always an owner");
    let description = serde_json::json!({"description": null, "source": null});
    let patch: guildhall_deals::DealPatch = serde_json::from_value(description).unwrap();
    assert_eq!((patch.description.as_deref(), patch.source.as_deref(), patch.title), (Some(""), Some(""), None));
}

#[tokio::test]
async fn fault_r23_an_address_is_one_in_every_spelling_of_its_domain() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.create_client(&person(1), org, named("x", "info@müller.example")).await.unwrap();
    for same in ["info@xn--mller-kva.example", "INFO@MÜLLER.example"] {
        assert_eq!(code(harness.create_client(&person(1), org, named("y", same)).await), "duplicate", "{same}");
    }
}
