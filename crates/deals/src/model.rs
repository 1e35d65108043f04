//! The nouns: ids, what is shown, what is accepted.

mod clients;
mod custom;
mod deals;
mod exchange;
mod invitations;
mod lines;
mod organizations;
mod payments;
mod reports;
mod trash;
mod views;
mod webhooks;
mod work;

use std::fmt;

use guildhall_kernel::define_id;
use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

pub use clients::{
    Client, ClientPatch, ClientStub, Contact, ContactPatch, Duplicate, Found, Merging, NewClient, NewContact, Sought,
};
pub use custom::{CustomField, CustomFieldPatch, CustomKind, Customized, NewCustomField};
pub use deals::{
    Board, BoardColumn, Closing, Deal, DealPatch, DealStatus, Lane, Move, NewDeal, NewPipeline, NewStage,
    PaymentStatus, Pipeline, PipelinePatch, Place, Stage, StageChange, StageOrder, StagePatch, StageRef, StageRemoval,
    Total, Verdict, Verification,
};
pub(crate) use exchange::ImportForm;
pub use exchange::{Fault, Format, Import, ImportKind, ImportMode, ImportStatus, NewImport, OnDuplicate, Table};
pub use invitations::{Invitation, OrganizationStub};
pub use lines::{DealFile, Line, LinePatch, NewLine};
pub use organizations::{
    Handover, Holding, Member, MemberPatch, MemberStatus, NewMember, NewOrganization, NewRole, NewTeam, Organization,
    OrganizationPatch, Overpayment, Own, Reassigned, Role, RolePatch, RoleStub, Team, TeamPatch,
};
pub use payments::{NewPayment, NewRefund, NewReversal, Payment, PaymentKind, PaymentMethod};
pub use reports::{
    Conversion, Dashboard, Earned, MonthAmount, Period, PipelineFilter, PipelineReport, Receivable, StageEntered,
    StageTotals, Standing,
};
pub use trash::{Change, Cleaned, DeletedKind, Deletion, DeletionPreview, Link, Node};
pub use views::{NewView, Sharing, View, ViewPatch, Viewed};
pub use webhooks::{Delivery, DeliveryStatus, IssuedWebhook, NewWebhook, Webhook, WebhookPatch};
pub use work::{Activity, ActivityKind, NewActivity, NewTask, Task, TaskPatch};

define_id!(
    /// A tenant.
    OrganizationId
);
define_id!(
    /// What members may do.
    RoleId
);
define_id!(
    /// A team.
    TeamId
);
define_id!(
    /// Somebody in an organization.
    MemberId
);
define_id!(
    /// A client.
    ClientId
);
define_id!(
    /// A person at a client.
    ContactId
);
define_id!(
    /// The stages that deals go through.
    PipelineId
);
define_id!(
    /// A step of a pipeline.
    StageId
);
define_id!(
    /// A deal.
    DealId
);
define_id!(
    /// An entry in the ledger.
    PaymentId
);
define_id!(
    /// Something that happened with a client.
    ActivityId
);
define_id!(
    /// Something to be done.
    TaskId
);
define_id!(
    /// A table that was read in.
    ImportId
);
define_id!(
    /// A field of an organization's own.
    CustomFieldId
);
define_id!(
    /// A line of a deal.
    LineId
);
define_id!(
    /// A file about a deal.
    DealFileId
);
define_id!(
    /// An address that is told what happens.
    WebhookId
);
define_id!(
    /// Something that it is told.
    DeliveryId
);
define_id!(
    /// A list as somebody wants to see it again.
    ViewId
);
define_id!(
    /// What was put into the trash in one act.
    DeletionId
);

/// A day of the calendar: `2025-09-01`. The same text in the database, where it sorts as days do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeriveValueType)]
#[serde(transparent)]
pub struct Day(String);

impl Day {
    /// The day with this text, if it is one, from 1900 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let shaped = text.len() == 10 && text.is_ascii() && text >= "1900-01-01";
        let known = shaped && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
        known.then(|| Self(text.to_owned()))
    }

    /// The day on which a moment is, in UTC.
    pub fn of(moment: guildhall_kernel::Timestamp) -> Self {
        Self(moment.to_string().chars().take(10).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// No database makes days up.
impl TryFromU64 for Day {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("Day"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("expected a day like 2025-09-01"))
    }
}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .examples([serde_json::json!("2025-09-01")])
            .into()
    }
}

impl ToSchema for Day {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_in_one_way() {
        assert_eq!(Day::parse("2024-02-29").unwrap().as_str(), "2024-02-29");
        for text in ["2025-02-29", "2025-2-1", "25-02-01", "2025-02-01T00:00:00Z", "", "1899-12-31", "２０２５-01-01"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        let moment = guildhall_kernel::Timestamp::from_unix_seconds(1_735_986_600);
        assert_eq!(Day::of(moment).as_str(), "2025-01-04");
    }
}
