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
    Board, BoardColumn, Change, Cleaned, Client, ClientId, ClientPatch, ClientStub, Closing, Contact, ContactId,
    ContactPatch, Day, Deal, DealId, DealPatch, DealStatus, DeletedKind, Deletion, DeletionId, DeletionPreview,
    Handover, Holding, Lane, Link, Member, MemberId, MemberPatch, MemberStatus, Move, NewClient, NewContact, NewDeal,
    NewMember, NewOrganization, NewPayment, NewPipeline, NewRefund, NewReversal, NewRole, NewStage, NewTeam, Node,
    Organization, OrganizationId, OrganizationPatch, Overpayment, Own, Payment, PaymentId, PaymentKind, PaymentMethod,
    PaymentStatus, Pipeline, PipelineId, PipelinePatch, Place, Reassigned, Role, RoleId, RolePatch, RoleStub, Stage,
    StageChange, StageId, StageOrder, StagePatch, StageRef, StageRemoval, Team, TeamId, TeamPatch, Total, Verdict,
    Verification,
};
pub use money::{Amount, Currency};
pub use permission::{CatalogueEntry, catalogue};
pub use routes::{DealsState, openapi, router};
pub use service::{Clients, Deals, Members, Organizations, Payments, Pipelines, Trash};
pub use sql::{Accounts, Host, Refusal, Removal, SqlDeals, Which};

#[cfg(feature = "testing")]
pub use service::{MockClients, MockDeals, MockMembers, MockOrganizations, MockPayments, MockPipelines, MockTrash};
