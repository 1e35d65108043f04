#![doc = include_str!("../README.md")]

mod admin;
mod entity;
mod error;
mod event;
mod filter;
mod migrations;
mod model;
mod money;
mod permission;
mod place;
mod routes;
mod service;
mod settings;
mod sql;
mod zone;

pub use admin::admin;
pub use error::{Error, Result};
pub use event::FACTS;
pub use filter::Filter;
pub use migrations::migrations;
pub(crate) use model::ImportForm;
pub use model::{
    Activity, ActivityId, ActivityKind, Board, BoardColumn, Change, Cleaned, Client, ClientId, ClientPatch, ClientStub,
    Closing, Contact, ContactId, ContactPatch, Conversion, CustomField, CustomFieldId, CustomFieldPatch, CustomKind,
    Customized, Dashboard, Day, Deal, DealFile, DealFileId, DealId, DealPatch, DealStatus, DeletedKind, Deletion,
    DeletionId, DeletionPreview, Delivery, DeliveryId, DeliveryStatus, Duplicate, Earned, Fault, Format, Found,
    Handover, Holding, Import, ImportId, ImportKind, ImportMode, ImportStatus, Invitation, IssuedWebhook, Lane, Line,
    LineId, LinePatch, Link, Member, MemberId, MemberPatch, MemberStatus, Merging, MonthAmount, Move, NewActivity,
    NewClient, NewContact, NewCustomField, NewDeal, NewImport, NewLine, NewMember, NewOrganization, NewPayment,
    NewPipeline, NewRefund, NewReversal, NewRole, NewStage, NewTask, NewTeam, NewView, NewWebhook, Node, OnDuplicate,
    Organization, OrganizationId, OrganizationPatch, OrganizationStub, Overpayment, Own, Payment, PaymentId,
    PaymentKind, PaymentMethod, PaymentStatus, Period, Pipeline, PipelineFilter, PipelineId, PipelinePatch,
    PipelineReport, Place, Reassigned, Receivable, Role, RoleId, RolePatch, RoleStub, Sharing, Sought, Stage,
    StageChange, StageEntered, StageId, StageOrder, StagePatch, StageRef, StageRemoval, StageTotals, Standing, Table,
    Task, TaskId, TaskPatch, Team, TeamId, TeamPatch, Total, Verdict, Verification, View, ViewId, ViewPatch, Viewed,
    Webhook, WebhookId, WebhookPatch,
};
pub use money::{Amount, Currency};
pub use permission::{CatalogueEntry, catalogue};
pub use routes::{DealsState, openapi, router};
pub use service::{
    Clients, CustomFields, DealFiles, Deals, Exchange, Invitations, Lines, Members, Organizations, Payments, Pipelines,
    Reports, Trash, Views, Webhooks, Work,
};
pub use settings::Settings;
pub use sql::{Accounts, Host, Refusal, Removal, SqlDeals, Which};

#[cfg(feature = "testing")]
pub use service::{
    MockClients, MockCustomFields, MockDealFiles, MockDeals, MockExchange, MockInvitations, MockLines, MockMembers,
    MockOrganizations, MockPayments, MockPipelines, MockReports, MockTrash, MockViews, MockWebhooks, MockWork,
};
