#![doc = include_str!("../README.md")]

mod admin;
mod entity;
mod error;
mod filter;
mod migrations;
mod model;
mod money;
mod permission;
mod routes;
mod service;
mod sql;

pub use admin::admin;
pub use error::{Error, Result};
pub use filter::Filter;
pub use migrations::migrations;
pub use model::{
    Activity, ActivityId, ActivityKind, Board, BoardColumn, Change, Cleaned, Client, ClientId, ClientPatch, ClientStub,
    Closing, Contact, ContactId, ContactPatch, Conversion, Dashboard, Day, Deal, DealId, DealPatch, DealStatus,
    DeletedKind, Deletion, DeletionId, DeletionPreview, Duplicate, Earned, Handover, Holding, Lane, Link, Member,
    MemberId, MemberPatch, MemberStatus, Merging, MonthAmount, Move, NewActivity, NewClient, NewContact, NewDeal,
    NewMember, NewOrganization, NewPayment, NewPipeline, NewRefund, NewReversal, NewRole, NewStage, NewTask, NewTeam,
    Node, Organization, OrganizationId, OrganizationPatch, Overpayment, Own, Payment, PaymentId, PaymentKind,
    PaymentMethod, PaymentStatus, Period, Pipeline, PipelineFilter, PipelineId, PipelinePatch, PipelineReport, Place,
    Reassigned, Receivable, Role, RoleId, RolePatch, RoleStub, Stage, StageChange, StageEntered, StageId, StageOrder,
    StagePatch, StageRef, StageRemoval, StageTotals, Standing, Task, TaskId, TaskPatch, Team, TeamId, TeamPatch, Total,
    Verdict, Verification,
};
pub use money::{Amount, Currency};
pub use permission::{CatalogueEntry, catalogue};
pub use routes::{DealsState, openapi, router};
pub use service::{Clients, Deals, Members, Organizations, Payments, Pipelines, Reports, Trash, Work};
pub use sql::{Accounts, Host, Refusal, Removal, SqlDeals, Which};

#[cfg(feature = "testing")]
pub use service::{
    MockClients, MockDeals, MockMembers, MockOrganizations, MockPayments, MockPipelines, MockReports, MockTrash,
    MockWork,
};
