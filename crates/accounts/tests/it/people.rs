use guildhall_accounts::{AccountPatch, Accounts, NewUser, Security, Tokens, UserFilter, WeakPassword};
use guildhall_kernel::{Directory, IfMatch, PageQuery, Roles, UserId};

use crate::harness::{PASSWORD, accounts, caller, code, credentials, fields, somebody, token_in, with_connections};

#[tokio::test]
async fn a_new_account_has_no_role_and_an_unverified_address() {
    let harness = accounts().await;
    let account = harness.registered("anna").await;
    assert_eq!(account.user.roles, Roles::default());
    assert!(account.details.is_active && !account.details.email_verified);
    assert_eq!((account.user.username.as_str(), account.details.email.as_str()), ("anna", "anna@example.org"));
    assert_eq!(account.user.display_name, "anna");
}

#[tokio::test]
async fn a_name_is_taken_in_every_spelling() {
    let harness = accounts().await;
    harness.registered("Anna").await;
    for spelling in ["anna", "ANNA", "Ａｎｎａ"] {
        let outcome = harness.register(NewUser { email: "x@example.org".into(), ..somebody(spelling) }).await;
        assert_eq!(code(outcome), "username_taken", "{spelling}");
    }
}

#[tokio::test]
async fn of_many_who_register_one_name_at_once_one_gets_it() {
    let harness = with_connections(8).await;
    let tasks = (0..10).map(|_| {
        let accounts = harness.accounts.clone();
        tokio::spawn(async move { code(accounts.register(somebody("anna")).await) })
    });
    let mut outcomes = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        outcomes.push(task.await.unwrap());
    }
    outcomes.sort();
    assert_eq!(outcomes[0], "ok");
    assert!(outcomes[1..].iter().all(|outcome| outcome == "username_taken"), "{outcomes:?}");
    assert_eq!(harness.rows("users").await, 1);
}

#[tokio::test]
async fn whether_an_address_is_known_is_not_told() {
    let harness = accounts().await;
    let anna = harness.create_user(somebody("anna"), Roles::default(), WeakPassword::Refuse).await.unwrap();
    assert!(anna.details.email_verified);
    let double = NewUser { email: "ANNA@example.org".into(), ..somebody("berta") };
    let berta = harness.register(double).await.unwrap();
    assert!(!berta.details.email_verified);
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let harness = accounts().await;
    let wrong = NewUser {
        username: "two words".into(),
        email: "nowhere".into(),
        password: "password".into(),
        first_name: "x".repeat(200),
        last_name: "a\nb".into(),
    };
    let named = fields(harness.register(wrong).await);
    assert_eq!(named, ["email", "first_name", "last_name", "password", "username"]);
    assert_eq!(harness.rows("users").await, 0);
}

#[tokio::test]
async fn a_password_over_the_limit_is_refused_before_it_is_hashed() {
    let harness = accounts().await;
    let long = NewUser { password: "x7".repeat(513), ..somebody("anna") };
    assert_eq!(fields(harness.register(long).await), ["password"]);
    let longest = NewUser { password: "k7#pQz2m".repeat(128), ..somebody("anna") };
    assert!(harness.register(longest).await.is_ok());
}

#[tokio::test]
async fn people_change_their_own_names() {
    let harness = accounts().await;
    let anna = caller(&harness.registered("anna").await);
    let patch =
        AccountPatch { first_name: Some(" Anna ".into()), last_name: Some("Miller".into()), ..Default::default() };
    let account = harness.change_me(&anna, patch, IfMatch::default()).await.unwrap();
    assert_eq!((account.user.first_name.as_str(), account.user.display_name.as_str()), ("Anna", "Anna Miller"));
    let patch = AccountPatch { display_name: Some("Ann".into()), ..Default::default() };
    let account = harness.change_me(&anna, patch, IfMatch::default()).await.unwrap();
    assert_eq!((account.user.first_name.as_str(), account.user.display_name.as_str()), ("Anna", "Ann"));
    assert_eq!(harness.me(&anna).await.unwrap(), account);
    let bad = AccountPatch { display_name: Some("a\u{7}".into()), ..Default::default() };
    assert_eq!(fields(harness.change_me(&anna, bad, IfMatch::default()).await), ["display_name"]);
}

#[tokio::test]
async fn fault_r20_null_as_a_name_takes_it_away() {
    let harness = accounts().await;
    let anna = caller(&harness.registered("anna").await);
    let patch = |body| serde_json::from_value::<AccountPatch>(body).unwrap();
    for (body, shown) in [
        (serde_json::json!({"display_name": "Ann"}), "Ann"),
        (serde_json::json!({"display_name": null, "first_name": null}), "anna"),
    ] {
        let account = harness.change_me(&anna, patch(body), IfMatch::default()).await.unwrap();
        assert_eq!(account.user.display_name, shown);
    }
}

#[tokio::test]
async fn the_directory_lists_those_who_may_sign_in() {
    let harness = accounts().await;
    let anna = caller(&harness.registered("anna").await);
    for name in ["Berta", "bea", "clara", "b_x"] {
        harness.registered(name).await;
    }
    harness.set_active("clara", false).await.unwrap();
    let names = async |search: Option<&str>, ordering: &str| {
        let filter = UserFilter { search: search.map(str::to_owned) };
        let page = harness.users(&anna, filter, PageQuery::new(1, 20).ordered(ordering)).await.unwrap();
        assert_eq!(usize::try_from(page.count).unwrap(), page.results.len());
        page.results.into_iter().map(|entry| entry.user.username).collect::<Vec<_>>()
    };
    assert_eq!(names(None, "").await, ["anna", "b_x", "bea", "Berta"]);
    assert_eq!(names(Some("BE"), "-username").await, ["Berta", "bea"]);
    assert_eq!(names(Some("b_"), "").await, ["b_x"], "a search is for text, not for a pattern");
    assert_eq!(names(Some("%"), "").await, Vec::<String>::new());
    assert_eq!(names(Some(""), "date_joined").await, ["anna", "Berta", "bea", "b_x"]);
    let unknown = harness.users(&anna, UserFilter::default(), PageQuery::new(1, 20).ordered("password_hash")).await;
    assert_eq!(fields(unknown), ["ordering"]);
}

#[tokio::test]
async fn a_person_is_found_while_they_may_sign_in() {
    let harness = accounts().await;
    let anna = harness.registered("anna").await;
    let id = harness.registered("berta").await.user.id;
    assert_eq!(harness.user(&caller(&anna), id).await.unwrap().user.username, "berta");
    harness.set_active("berta", false).await.unwrap();
    assert_eq!(code(harness.user(&caller(&anna), id).await), "user_not_found");
    // What they wrote still carries their name.
    let people = harness.people(&[anna.user.id, id, UserId(99)]).await.unwrap();
    let mut names: Vec<_> = people.into_iter().map(|person| person.username).collect();
    names.sort();
    assert_eq!(names, ["anna", "berta"]);
    assert_eq!(harness.people(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn only_staff_see_addresses_and_those_who_may_not_sign_in() {
    let harness = accounts().await;
    let anna = caller(&harness.registered("anna").await);
    let staff = Roles { staff: true, ..Roles::default() };
    let staff = caller(&harness.create_user(somebody("staff"), staff, WeakPassword::Refuse).await.unwrap());
    harness.set_active("anna", false).await.unwrap();
    let seen = async |by| harness.users(by, UserFilter::default(), PageQuery::new(1, 20)).await.unwrap().results;
    let by_staff = seen(&staff).await;
    assert_eq!(by_staff.iter().map(|entry| entry.user.username.as_str()).collect::<Vec<_>>(), ["anna", "staff"]);
    let details = by_staff[0].details.as_ref().unwrap();
    assert_eq!((details.email.as_str(), details.is_active), ("anna@example.org", false));
    assert!(harness.user(&staff, anna.user).await.unwrap().details.is_some());
    let by_anna = seen(&anna).await;
    assert!(by_anna.iter().all(|entry| entry.details.is_none() && entry.user.username == "staff"));
    assert!(!serde_json::to_string(&by_anna).unwrap().contains("@example.org"));
}

#[tokio::test]
async fn of_two_changes_to_one_version_one_is_refused() {
    let harness = with_connections(4).await;
    let account = harness.registered("anna").await;
    let anna = caller(&account);
    for _ in 0..10 {
        let version = guildhall_kernel::ETag::from(harness.me(&anna).await.unwrap().updated_at);
        let change = |name: &str| {
            let patch = AccountPatch { display_name: Some(name.to_owned()), ..Default::default() };
            harness.change_me(&anna, patch, IfMatch::only(version))
        };
        let (one, two) = tokio::join!(change("one"), change("two"));
        let mut outcomes = [code(one), code(two)];
        outcomes.sort();
        assert_eq!(outcomes, ["ok", "stale"]);
    }
}

#[tokio::test]
async fn staff_remove_people_and_every_token_goes_with_them() {
    let harness = accounts().await;
    let staff = Roles { staff: true, ..Roles::default() };
    let staff = caller(&harness.create_user(somebody("staff"), staff, WeakPassword::Refuse).await.unwrap());
    let anna = harness.registered("anna").await;
    harness.signs_in("anna").await;
    assert_eq!(code(harness.delete_user(&caller(&anna), staff.user, None).await), "not_staff");
    harness.delete_user(&staff, anna.user.id, None).await.unwrap();
    assert_eq!(harness.rows("accounts_session").await, 0);
    assert_eq!(harness.rows("accounts_refresh_token").await, 0);
    assert_eq!(code(harness.delete_user(&staff, anna.user.id, None).await), "user_not_found");
    let next = harness.registered("anna").await;
    assert!(next.user.id > anna.user.id, "an id is never used again");
}

#[tokio::test]
async fn a_superuser_always_stays() {
    let harness = with_connections(4).await;
    let superuser = Roles { superuser: true, ..Roles::default() };
    let staff = Roles { staff: true, ..Roles::default() };
    let make = async |name: &str, roles| {
        caller(&harness.create_user(somebody(name), roles, WeakPassword::Refuse).await.unwrap())
    };
    let (one, two, staff) = (make("one", superuser).await, make("two", superuser).await, make("staff", staff).await);
    assert_eq!(code(harness.delete_user(&staff, one.user, None).await), "not_superuser");
    // Each removes the other at the same moment.
    let (first, second) =
        tokio::join!(harness.delete_user(&one, two.user, None), harness.delete_user(&two, one.user, None));
    let mut outcomes = [code(first), code(second)];
    outcomes.sort();
    assert_eq!(outcomes, ["last_superuser", "ok"]);
    assert!(harness.has_superuser().await.unwrap());
}

#[tokio::test]
async fn fault_13_an_address_is_somebodys_once_they_have_verified_it() {
    let harness = accounts().await;
    let anna = harness.registered("anna").await;
    assert!(!harness.has_address(anna.user.id, "anna@example.org").await.unwrap());
    let berta = harness.verified("berta").await;
    assert!(harness.has_address(berta.user.id, "BERTA@example.org").await.unwrap());
    assert!(!harness.has_address(anna.user.id, "berta@example.org").await.unwrap());
}

#[tokio::test]
async fn fault_r23_an_address_is_one_in_every_spelling_of_its_domain() {
    let harness = accounts().await;
    let at = |name: &str, email: &str| NewUser { email: email.into(), ..somebody(name) };
    harness.register(at("anna", "x@müller.example")).await.unwrap();
    harness.confirm_email(&token_in(&harness.letters().await[0])).await.unwrap();
    for same in ["x@xn--mller-kva.example", "X@MÜLLER.example"] {
        harness.sign_in(credentials(same, PASSWORD)).await.unwrap();
    }
    harness.wait(120);
    // A second account cannot have it in the other spelling: its owner is informed instead.
    harness.register(at("berta", "x@xn--mller-kva.example")).await.unwrap();
    let letters = harness.letters().await;
    assert_eq!(letters.len(), 1);
    assert!(!letters[0].text.contains("?token="), "no link that would verify it: {}", letters[0].text);
}
