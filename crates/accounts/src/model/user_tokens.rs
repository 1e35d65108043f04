use garde::Validate;
use guildhall_kernel::{Keyed, Timestamp, text};
use sea_orm::DerivePartialModel;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{entity::user_token, id::UserTokenId};

/// What a user token can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

impl Scope {
    fn for_token(read_only: bool) -> Vec<Self> {
        if read_only { vec![Self::Read] } else { vec![Self::Read, Self::Write] }
    }
}

/// A user token as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserToken {
    /// The token's id.
    pub id: UserTokenId,
    /// The name that its owner gave it.
    pub name: String,
    /// The first characters of the token.
    pub prefix: String,
    /// The last four characters of the token.
    pub last4: String,
    /// What it can be used for.
    pub scopes: Vec<Scope>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was last used, accurate to a minute.
    pub last_used_at: Option<Timestamp>,
}

impl From<user_token::Model> for UserToken {
    fn from(row: user_token::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            last4: row.last4,
            scopes: Scope::for_token(row.read_only),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// The columns of [`UserToken`]: all but the hash.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "user_token::Entity")]
pub(crate) struct UserTokenRow {
    id: UserTokenId,
    name: String,
    prefix: String,
    last4: String,
    read_only: bool,
    created_at: Timestamp,
    expires_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl Keyed for UserTokenRow {
    fn key(&self) -> i64 {
        self.id.0
    }
}

impl From<UserTokenRow> for UserToken {
    fn from(row: UserTokenRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            last4: row.last4,
            scopes: Scope::for_token(row.read_only),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// A user token to create.
#[derive(Clone, Default, Deserialize, ToSchema, Validate)]
pub struct NewUserToken {
    /// The name of the token.
    #[serde(default)]
    #[garde(custom(text::line(0, 100)))]
    pub name: String,
    /// Lifetime in days; the configured lifetime is both the default and the maximum.
    #[garde(skip)]
    pub expires_in_days: Option<u32>,
    /// What it can be used for; all scopes by default.
    #[garde(skip)]
    pub scopes: Option<Vec<Scope>>,
    /// The password; required if it was last entered more than 15 minutes ago.
    #[garde(skip)]
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// A new user token. It is shown only once.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedToken {
    /// For `Authorization: Token`.
    pub token: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A new named user token. It is shown only once.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedUserToken {
    /// For `Authorization: Token`.
    pub token: String,
    /// The token as it is listed.
    #[serde(flatten)]
    pub shown: UserToken,
}
