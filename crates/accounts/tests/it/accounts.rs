use guildhall_accounts::{AccountPatch, Accounts, EmailAddresses, NewUser, Tokens, UserFilter, WeakPassword};
use guildhall_kernel::{Directory, IfMatch, PageQuery, Roles, UserId};

use crate::harness::{PASSWORD, accounts, caller, code, credentials, fields, new_user, token_in, with_connections};

#[tokio::test]
async fn a_new_account_has_no_roles_and_an_unverified_email_address() {
    let harness = accounts().await;
    let account = harness.register_user("anna").await;
    assert_eq!(account.user.roles, Roles::default());
    assert!(account.details.is_active && !account.details.email_verified);
    assert_eq!((account.user.username.as_str(), account.details.email.as_str()), ("anna", "anna@example.org"));
    assert_eq!(account.user.display_name, "anna");
}

#[tokio::test]
async fn a_username_is_taken_in_every_equivalent_spelling() {
    let harness = accounts().await;
    harness.register_user("Anna").await;
    for spelling in ["anna", "ANNA", "Ａｎｎａ"] {
        let result = harness.register(NewUser { email: "x@example.org".into(), ..new_user(spelling) }).await;
        assert_eq!(code(result), "username_taken", "{spelling}");
    }
}

#[tokio::test]
async fn of_concurrent_registrations_of_one_username_one_succeeds() {
    let harness = with_connections(8).await;
    let tasks = (0..10).map(|_| {
        let accounts = harness.accounts.clone();
        tokio::spawn(async move { code(accounts.register(new_user("anna")).await) })
    });
    let mut outcomes = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        outcomes.push(task.await.unwrap());
    }
    outcomes.sort();
    assert_eq!(outcomes[0], "ok");
    assert!(outcomes[1..].iter().all(|outcome| outcome == "username_taken"), "{outcomes:?}");
    assert_eq!(harness.db.count_rows("users").await, 1);
}

#[tokio::test]
async fn registering_does_not_disclose_whether_an_email_address_is_taken() {
    let harness = accounts().await;
    let anna = harness.create_user(new_user("anna"), Roles::default(), WeakPassword::Reject).await.unwrap();
    assert!(anna.details.email_verified);
    let duplicate = NewUser { email: "ANNA@example.org".into(), ..new_user("berta") };
    let berta = harness.register(duplicate).await.unwrap();
    assert!(!berta.details.email_verified);
}

#[tokio::test]
async fn all_field_errors_are_reported_together() {
    let harness = accounts().await;
    let invalid = NewUser {
        username: "two words".into(),
        email: "nowhere".into(),
        password: "password".into(),
        first_name: "x".repeat(200),
        last_name: "a\nb".into(),
    };
    let errors = fields(harness.register(invalid).await);
    assert_eq!(errors, ["email", "first_name", "last_name", "password", "username"]);
    assert_eq!(harness.db.count_rows("users").await, 0);
}

#[tokio::test]
async fn a_password_has_at_most_1024_bytes() {
    let harness = accounts().await;
    let too_long = NewUser { password: "x7".repeat(513), ..new_user("anna") };
    assert_eq!(fields(harness.register(too_long).await), ["password"]);
    let longest = NewUser { password: "k7#pQz2m".repeat(128), ..new_user("anna") };
    assert!(harness.register(longest).await.is_ok());
}

#[tokio::test]
async fn users_change_their_own_names() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    let patch =
        AccountPatch { first_name: Some(" Anna ".into()), last_name: Some("Miller".into()), ..Default::default() };
    let account = harness.change_me(&anna, patch, IfMatch::default()).await.unwrap();
    assert_eq!((account.user.first_name.as_str(), account.user.display_name.as_str()), ("Anna", "Anna Miller"));
    let patch = AccountPatch { display_name: Some("Ann".into()), ..Default::default() };
    let account = harness.change_me(&anna, patch, IfMatch::default()).await.unwrap();
    assert_eq!((account.user.first_name.as_str(), account.user.display_name.as_str()), ("Anna", "Ann"));
    assert_eq!(harness.me(&anna).await.unwrap(), account);
    let invalid = AccountPatch { display_name: Some("a\u{7}".into()), ..Default::default() };
    assert_eq!(fields(harness.change_me(&anna, invalid, IfMatch::default()).await), ["display_name"]);
}

#[tokio::test]
async fn fault_r20_null_clears_a_name() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    let patch = |body| serde_json::from_value::<AccountPatch>(body).unwrap();
    for (body, display_name) in [
        (serde_json::json!({"display_name": "Ann"}), "Ann"),
        (serde_json::json!({"display_name": null, "first_name": null}), "anna"),
    ] {
        let account = harness.change_me(&anna, patch(body), IfMatch::default()).await.unwrap();
        assert_eq!(account.user.display_name, display_name);
    }
}

#[tokio::test]
async fn the_directory_lists_active_users() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    for name in ["Berta", "bea", "clara", "b_x"] {
        harness.register_user(name).await;
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
    assert_eq!(names(Some("b_"), "").await, ["b_x"], "wildcards are not interpreted");
    assert_eq!(names(Some("%"), "").await, Vec::<String>::new());
    assert_eq!(names(Some(""), "date_joined").await, ["anna", "Berta", "bea", "b_x"]);
    let unknown = harness.users(&anna, UserFilter::default(), PageQuery::new(1, 20).ordered("password_hash")).await;
    assert_eq!(fields(unknown), ["ordering"]);
}

#[tokio::test]
async fn only_active_users_are_found() {
    let harness = accounts().await;
    let anna = harness.register_user("anna").await;
    let id = harness.register_user("berta").await.user.id;
    assert_eq!(harness.user(&caller(&anna), id).await.unwrap().user.username, "berta");
    harness.set_active("berta", false).await.unwrap();
    assert_eq!(code(harness.user(&caller(&anna), id).await), "user_not_found");
    // Content by deactivated users still shows their names.
    let people = harness.people(&[anna.user.id, id, UserId(99)]).await.unwrap();
    let mut names: Vec<_> = people.into_iter().map(|person| person.username).collect();
    names.sort();
    assert_eq!(names, ["anna", "berta"]);
    assert_eq!(harness.people(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn only_staff_see_email_addresses_and_deactivated_users() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    let staff = Roles { staff: true, ..Roles::default() };
    let staff = caller(&harness.create_user(new_user("staff"), staff, WeakPassword::Reject).await.unwrap());
    harness.set_active("anna", false).await.unwrap();
    let list =
        async |caller| harness.users(caller, UserFilter::default(), PageQuery::new(1, 20)).await.unwrap().results;
    let for_staff = list(&staff).await;
    assert_eq!(for_staff.iter().map(|entry| entry.user.username.as_str()).collect::<Vec<_>>(), ["anna", "staff"]);
    let details = for_staff[0].details.as_ref().unwrap();
    assert_eq!((details.email.as_str(), details.is_active), ("anna@example.org", false));
    assert!(harness.user(&staff, anna.user).await.unwrap().details.is_some());
    let for_anna = list(&anna).await;
    assert!(for_anna.iter().all(|entry| entry.details.is_none() && entry.user.username == "staff"));
    assert!(!serde_json::to_string(&for_anna).unwrap().contains("@example.org"));
}

#[tokio::test]
async fn of_two_concurrent_changes_to_one_version_one_is_rejected() {
    let harness = with_connections(4).await;
    let account = harness.register_user("anna").await;
    let anna = caller(&account);
    for _ in 0..10 {
        let version = guildhall_kernel::ETag::from(harness.me(&anna).await.unwrap().updated_at);
        let change = |name: &str| {
            let patch = AccountPatch { display_name: Some(name.to_owned()), ..Default::default() };
            harness.change_me(&anna, patch, IfMatch::only(version))
        };
        let (first, second) = tokio::join!(change("one"), change("two"));
        let mut outcomes = [code(first), code(second)];
        outcomes.sort();
        assert_eq!(outcomes, ["ok", "stale"]);
    }
}

#[tokio::test]
async fn fault_13_an_email_address_belongs_to_a_user_once_verified() {
    let harness = accounts().await;
    let anna = harness.register_user("anna").await;
    assert!(!harness.has_address(anna.user.id, "anna@example.org").await.unwrap());
    let berta = harness.register_verified("berta").await;
    assert!(harness.has_address(berta.user.id, "BERTA@example.org").await.unwrap());
    assert!(!harness.has_address(anna.user.id, "berta@example.org").await.unwrap());
}

#[tokio::test]
async fn fault_r23_equivalent_domains_are_the_same_email_address() {
    let harness = accounts().await;
    let with_email = |name: &str, email: &str| NewUser { email: email.into(), ..new_user(name) };
    harness.register(with_email("anna", "x@müller.example")).await.unwrap();
    harness.confirm_email(&token_in(&harness.emails().await[0])).await.unwrap();
    for spelling in ["x@xn--mller-kva.example", "X@MÜLLER.example"] {
        harness.sign_in(credentials(spelling, PASSWORD)).await.unwrap();
    }
    harness.advance(120);
    // A second account cannot claim the other spelling; the owner is notified instead.
    harness.register(with_email("berta", "x@xn--mller-kva.example")).await.unwrap();
    let emails = harness.emails().await;
    assert_eq!(emails.len(), 1);
    assert!(!emails[0].text.contains("?token="), "no verification link: {}", emails[0].text);
}
