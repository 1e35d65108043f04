use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When a user gets emails and web pushes.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications_settings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Whether the user gets any emails about notifications.
    pub sends_emails: bool,
    pub digest: Digest,
    /// The name of an IANA time zone.
    pub time_zone: String,
    /// The begin of the quiet hours, in minutes after midnight.
    pub quiet_from: Option<i64>,
    /// The end of the quiet hours, in minutes after midnight.
    pub quiet_until: Option<i64>,
    pub updated_at: Timestamp,
}

/// How notifications are sent by email.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = NotificationDigest)]
pub enum Digest {
    /// A few minutes after they happen.
    Off,
    /// Together, each morning.
    Daily,
    /// Together, on Monday morning.
    Weekly,
}

impl ActiveModelBehavior for ActiveModel {}
