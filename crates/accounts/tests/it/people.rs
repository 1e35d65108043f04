//! The people that the directory keeps in memory.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use guildhall_accounts::{
    AccountChange, AccountPatch, Accounts, EmailAddresses, PasswordProof, Removals, SqlAccounts, Staff, WeakPassword,
};
use guildhall_kernel::{AccountCleanup, Caller, Directory, IfMatch, Roles, UserId};

use crate::harness::{Harness, PASSWORD, accounts, caller, new_user, token_in, with_connections};

/// The display name of a user in the directory; `None` if there is no such user.
async fn shown(accounts: &SqlAccounts, id: UserId) -> Option<String> {
    let people = accounts.people(&[id, id]).await.unwrap();
    assert!(people.len() <= 1 && people.iter().all(|person| person.id == id), "{people:?}");
    people.into_iter().next().map(|person| person.display_name)
}

async fn show_as(accounts: &SqlAccounts, caller: &Caller, name: &str) {
    let patch = AccountPatch { display_name: Some(name.to_owned()), ..AccountPatch::default() };
    accounts.change_me(caller, patch, IfMatch::default()).await.unwrap();
}

/// A user who is shown, and thus kept.
async fn kept(harness: &Harness, name: &str) -> Caller {
    let user = caller(&harness.register_user(name).await);
    assert_eq!(shown(harness, user.user).await.as_deref(), Some(name));
    user
}

async fn superuser(harness: &Harness) -> Caller {
    let roles = Roles { superuser: true, ..Roles::default() };
    caller(&harness.create_user(new_user("boss"), roles, WeakPassword::Reject).await.unwrap())
}

#[tokio::test]
async fn only_people_that_are_not_kept_are_read() {
    let harness = accounts().await;
    let mut ids = Vec::new();
    for name in ["anna", "berta", "clara"] {
        ids.push(harness.register_user(name).await.user.id);
    }
    let cost = async |ids: &[UserId]| {
        let before = harness.db.statements();
        assert_eq!(harness.people(ids).await.unwrap().len(), ids.len());
        harness.db.statements() - before
    };
    let mut costs = Vec::new();
    // People are kept for two seconds, so a slow run is repeated.
    for _ in 0..5 {
        harness.advance(60);
        costs = vec![cost(&ids[..2]).await, cost(&ids[..2]).await, cost(&ids).await, cost(&ids).await];
        if costs == [1, 0, 1, 0] {
            return;
        }
    }
    panic!("{costs:?}");
}

#[tokio::test]
async fn every_change_of_a_user_is_visible_at_once() {
    let harness = accounts().await;
    let boss = &superuser(&harness).await;
    let anna = kept(&harness, "anna").await;
    show_as(&harness, &anna, "Ann").await;
    assert_eq!(shown(&harness, anna.user).await.as_deref(), Some("Ann"));
    show_as(&harness, &anna, "").await;
    assert_eq!(shown(&harness, anna.user).await.as_deref(), Some("anna"));
    for (first, last, name) in [("Anna", "", "Anna"), ("Anna", "Miller", "Anna Miller"), ("", "Miller", "Miller")] {
        let (first_name, last_name) = (Some(first.to_owned()), Some(last.to_owned()));
        let patch = AccountPatch { first_name, last_name, ..AccountPatch::default() };
        harness.change_me(&anna, patch, IfMatch::default()).await.unwrap();
        assert_eq!(shown(&harness, anna.user).await.as_deref(), Some(name));
    }

    // What others do not see leaves them as they are.
    harness.confirm_email(&token_in(&harness.emails().await[0])).await.unwrap();
    let change = AccountChange { is_active: None, roles: Some(vec!["teacher".to_owned()]) };
    harness.change_account(boss, anna.user, change, IfMatch::default()).await.unwrap();
    harness.set_active("anna", false).await.unwrap();
    assert_eq!(shown(&harness, anna.user).await.as_deref(), Some("Miller"));

    harness.erase_user(boss, anna.user).await.unwrap();
    assert_eq!(shown(&harness, anna.user).await, None, "erased");
    let berta = kept(&harness, "berta").await;
    harness.delete_user(boss, berta.user, None).await.unwrap();
    assert_eq!(shown(&harness, berta.user).await, None, "deleted by staff");
    kept(&harness, "clara").await;
    let clara = harness.session_of("clara").await;
    assert!(shown(&harness, clara.user).await.is_some());
    harness.delete_me(&clara, PasswordProof { password: PASSWORD.into() }).await.unwrap();
    assert_eq!(shown(&harness, clara.user).await, None, "deleted by themselves");

    let next = UserId(clara.user.0 + 1);
    assert_eq!(shown(&harness, next).await, None);
    assert_eq!(harness.register_user("doris").await.user.id, next);
    assert_eq!(shown(&harness, next).await.as_deref(), Some("doris"), "registered");
}

#[tokio::test]
async fn an_account_that_another_crate_removes_is_gone_once_that_has_committed() {
    let harness = with_connections(2).await;
    let anna = kept(&harness, "anna").await.user;
    let accounts = &harness.accounts;
    let remove = harness.db.write(|tx| async move {
        assert!(accounts.remove_unused(&tx, anna).await?);
        assert_eq!(shown(accounts, anna).await.as_deref(), Some("anna"), "not committed yet");
        Ok::<_, guildhall_kernel::Error>(())
    });
    remove.await.unwrap();
    assert_eq!(shown(accounts, anna).await, None);
}

#[tokio::test]
async fn a_change_is_visible_at_once_while_others_read() {
    let harness = with_connections(4).await;
    let anna = kept(&harness, "anna").await;
    let is_done = Arc::new(AtomicBool::new(false));
    let readers = (0..3).map(|_| {
        let (accounts, is_done) = (harness.accounts.clone(), is_done.clone());
        tokio::spawn(async move {
            while !is_done.load(Ordering::Relaxed) {
                assert!(shown(&accounts, anna.user).await.is_some());
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for n in 0..50 {
        let name = format!("anna {n}");
        show_as(&harness, &anna, &name).await;
        assert_eq!(shown(&harness, anna.user).await, Some(name));
    }
    is_done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_change_by_another_process_is_visible_after_two_seconds() {
    let harness = accounts().await;
    let boss = &superuser(&harness).await;
    let anna = kept(&harness, "anna").await;
    let other = harness.second_node().await;
    show_as(&other, &anna, "Ann").await;
    assert_eq!(shown(&other, anna.user).await.as_deref(), Some("Ann"));
    harness.advance(2);
    assert_eq!(shown(&harness, anna.user).await.as_deref(), Some("Ann"));
    other.erase_user(boss, anna.user).await.unwrap();
    harness.advance(2);
    assert_eq!(shown(&harness, anna.user).await, None);
}

/// The only file that may change what others see of a user.
const WRITER: &str = "sql/user_tx.rs";

/// The columns that any statement may change, since nobody else sees them.
const UNSEEN: [&str; 5] = ["PasswordHash", "AuthEpoch", "EmailVerifiedAt", "LastLogin", "UpdatedAt"];

/// The sources of the crate, by path, without spaces and line breaks.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.to_str().unwrap().replace('\\', "/"), text.split_whitespace().collect()));
        }
    }
}

/// The changes of users in a source that do not make the people in memory forgotten.
fn forgotten(text: &str) -> Vec<String> {
    let bypasses = [
        "store_changes(",
        "user::Entity::update(",
        "user::Entity::delete",
        ".update(tx)",
        ".update(&tx)",
        ".update(conn)",
        ".save(",
        ".delete(",
        "UPDATEusers",
        "DELETEFROMusers",
    ];
    let mut found: Vec<String> =
        bypasses.iter().filter(|call| text.contains(**call)).map(|call| (*call).to_owned()).collect();
    for update in text.split("user::Entity::update_many()").skip(1) {
        let update = update.split(".exec").next().unwrap();
        let columns = update.split(".col_expr(user::Column::").skip(1);
        let seen = columns.map(|rest| rest.split(',').next().unwrap()).filter(|column| !UNSEEN.contains(column));
        found.extend(seen.map(str::to_owned));
        if update.contains(".set(") {
            found.push(".set(".to_owned());
        }
    }
    found
}

#[test]
fn users_are_changed_only_by_transactions_that_forget_the_people_in_memory() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let (writers, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(path, _)| path.ends_with(WRITER));
    assert_eq!(writers.iter().map(|(_, text)| forgotten(text).len()).collect::<Vec<_>>(), [3]);
    for (path, text) in others {
        // Removals of the caller are methods of the service.
        let text = text.replace("self.delete(caller,", "");
        assert_eq!(forgotten(&text), [""; 0], "{path}: use a method of UserTx");
    }
    let hidden = "user::Entity::update_many().col_expr(user::Column::FirstName,Expr::value(name)).exec(conn)";
    assert_eq!(forgotten(hidden), ["FirstName"]);
}
