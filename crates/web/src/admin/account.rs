//! The part of a user's page about the account.

use guildhall_accounts::{Account, Session};
use guildhall_admin::{Key, ListQuery, Row};
use guildhall_kernel::{CursorQuery, Error, Kind, Person, Result, UserId};

use crate::{reader::Reader, web::App};

/// How many sessions are shown.
const SESSIONS: u64 = 20;

/// The part of a user's page about the account.
pub(super) struct UserPart {
    pub(super) account: Account,
    pub(super) sessions: Vec<Session>,
    /// The user tokens: their keys and names.
    pub(super) tokens: Vec<Row>,
    /// Whether the reader may change all roles.
    pub(super) is_superuser: bool,
    pub(super) is_me: bool,
}

impl UserPart {
    pub(super) fn person(&self) -> Person {
        self.account.user.clone().into()
    }

    /// The version of the account, for the forms.
    pub(super) fn version(&self) -> i64 {
        self.account.updated_at.unix_micros()
    }
}

/// The part of a user's page about the account; `None` once it has been erased.
pub(super) async fn user_part(app: &App, reader: &Reader, key: &Key) -> Result<Option<UserPart>> {
    let Some(id) = key.id().map(UserId) else { return Ok(None) };
    let (staff, caller) = (&app.accounts.staff, &reader.caller);
    let account = match staff.account(caller, id).await.map_err(Error::from) {
        Ok(account) => account,
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let sessions = staff.sessions_of(caller, id, CursorQuery::newest(SESSIONS)).await.map_err(Error::from)?;
    let query = ListQuery { filters: vec![("user_id".to_owned(), id.to_string())], ..ListQuery::default() };
    let tokens = app.admin.panel.rows(caller, "accounts_user_token", query).await.map_err(Error::from)?.rows;
    Ok(Some(UserPart {
        account,
        tokens,
        sessions: sessions.results,
        is_superuser: caller.roles.superuser,
        is_me: caller.user == id,
    }))
}
