use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// An event of a stream.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "realtime_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub stream_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// A JSON object.
    pub body: String,
    /// The key that the body is encrypted with.
    pub key_id: Option<String>,
    /// The user who may not receive any later event of the stream.
    pub removes: Option<UserId>,
    pub at: Timestamp,
    /// The stream of the subject that it is about.
    pub about: Option<String>,
    /// Its number in that subject.
    pub about_no: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
