//! Callers whose sockets are open while their sessions, tokens and roles change.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_accounts::{
    AccountChange, NewUserToken, Sessions, Staff, Tokens, UserTokens, WeakPassword,
    event::{RolesChanged, SessionsEnded},
};
use guildhall_kernel::{
    self as kernel, Authenticate, Caller, Clock, Credentials, IfMatch, Roles,
    db::Tx,
    event::{Dispatcher, Emitted, Event, Subscriber},
};

use crate::harness::{Harness, accounts, caller, code, new_user};

/// Whether these callers are still valid.
async fn are_valid(harness: &Harness, callers: &[Caller]) -> Vec<bool> {
    harness.recheck(callers).await.unwrap().into_iter().map(|caller| caller.is_some()).collect()
}

/// A new user token, and the caller with it.
async fn with_token(harness: &Harness, session: &Caller, days: u32) -> (String, Caller) {
    let new = NewUserToken { expires_in_days: Some(days), ..NewUserToken::default() };
    let token = harness.create_user_token(session, new).await.unwrap().token;
    let caller = harness.authenticate_token(&token).await.unwrap();
    (token, caller)
}

struct Recorder;

#[async_trait]
impl Subscriber for Recorder {
    fn name(&self) -> &'static str {
        "test"
    }

    fn events(&self) -> Vec<&'static str> {
        vec![RolesChanged::NAME, SessionsEnded::NAME]
    }

    async fn handle(&self, _: &Tx, _: &Emitted) -> kernel::Result<()> {
        Ok(())
    }
}

/// Has events stored.
fn record_events(harness: &Harness) -> Dispatcher {
    Dispatcher::new(harness.db.handle(), Clock::system(), vec![Arc::new(Recorder)])
}

async fn events(harness: &Harness) -> Vec<String> {
    harness.db.query_texts("SELECT name FROM kernel_event ORDER BY id").await
}

#[tokio::test]
async fn a_user_token_that_is_revoked_or_expires_ends_its_own_callers_only() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let session = harness.session_of("anna").await;
    let _dispatcher = record_events(&harness);
    let (_, first) = with_token(&harness, &session, 7).await;
    let (_, second) = with_token(&harness, &session, 8).await;
    let callers = [session, first, second];
    assert_eq!(are_valid(&harness, &callers).await, [true; 3]);
    harness.revoke_user_token(&session, first.token.unwrap()).await.unwrap();
    assert_eq!(are_valid(&harness, &callers).await, [true, false, true]);
    assert_eq!(events(&harness).await, [SessionsEnded::NAME]);
    harness.advance(8 * 24 * 3600);
    assert_eq!(are_valid(&harness, &callers).await, [true, false, false]);
}

#[tokio::test]
async fn a_session_that_ends_ends_its_own_callers_only() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    let (first, second) = (harness.session_of("anna").await, harness.session_of("anna").await);
    let (_, token) = with_token(&harness, &first, 7).await;
    let callers = [first, second, token, anna];
    harness.end_session(&second, first.session.unwrap()).await.unwrap();
    assert_eq!(are_valid(&harness, &callers).await, [false, true, true, true]);
    harness.set_active("anna", false).await.unwrap();
    assert_eq!(are_valid(&harness, &callers).await, [false; 4]);
}

#[tokio::test]
async fn callers_get_their_current_roles() {
    let harness = accounts().await;
    let boss = new_user("boss");
    let boss = harness.create_user(boss, Roles { superuser: true, ..Roles::default() }, WeakPassword::Reject).await;
    let boss = caller(&boss.unwrap());
    let anna = caller(&harness.register_user("anna").await);
    let session = harness.session_of("anna").await;
    let (_, token) = with_token(&harness, &session, 7).await;
    let _dispatcher = record_events(&harness);
    let change = AccountChange { roles: Some(vec!["staff".to_owned()]), is_active: None };
    harness.change_account(&boss, anna.user, change, IfMatch::default()).await.unwrap();
    assert_eq!(events(&harness).await, [RolesChanged::NAME]);
    for (before, now) in [session, token, anna].into_iter().zip(harness.recheck(&[session, token, anna]).await.unwrap())
    {
        assert_eq!(now, Some(Caller { roles: Roles { staff: true, ..Roles::default() }, ..before }));
    }
}

#[tokio::test]
async fn a_ticket_belongs_to_the_user_token_that_it_was_issued_for() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let session = harness.session_of("anna").await;
    let (_, token) = with_token(&harness, &session, 7).await;
    let ticket = async || harness.socket_ticket(&token).await.unwrap().ticket;
    let authenticate = async |ticket: String| harness.authenticate(Credentials::Ticket(ticket)).await;
    let socket = authenticate(ticket().await).await.unwrap();
    assert_eq!((socket.token, socket.session), (token.token, None));
    let unused = ticket().await;
    harness.revoke_user_token(&session, token.token.unwrap()).await.unwrap();
    assert_eq!(are_valid(&harness, &[socket]).await, [false]);
    assert_eq!(code(authenticate(unused).await), "token_not_valid");
}
