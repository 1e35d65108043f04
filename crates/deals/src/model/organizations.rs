use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MemberId, OrganizationId, RoleId, TeamId};
use crate::{Amount, Currency, zone::is_zone};

/// An organization, as its members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// What it is called. Several may have one name.
    pub name: String,
    /// What it is called in an address. No two have the same.
    pub slug: String,
    /// Made for a test, and cleaned away with others of the kind.
    pub is_test: bool,
    /// The currency of deals that name none.
    pub default_currency: Currency,
    /// What the caller is in it: the name of their role.
    pub role: String,
    /// What numbers of new deals begin with.
    pub number_prefix: String,
    /// How many digits they have at least.
    pub number_pad: i64,
    /// What becomes of more money than a deal is worth.
    pub overpayment: Overpayment,
    /// Changes have to say which version they know (`If-Match`), else 428.
    pub requires_if_match: bool,
    /// Whoever records a payment does not verify it.
    pub four_eyes: bool,
    /// Whoever made something sees it after it is given to others.
    pub creator_keeps_access: bool,
    /// Where its days begin: IANA's name of a time zone.
    #[schema(example = "Europe/Vienna")]
    pub time_zone: String,
    /// Deals that are worth more than this in the default currency, and all in another one, are won only once
    /// somebody has verified them.
    #[schema(example = "10000.00")]
    pub approval_above: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What becomes of more money than a deal is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overpayment {
    /// It is refused.
    #[default]
    Reject,
    /// It is taken, as the client's credit.
    Credit,
}

/// An organization to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewOrganization {
    /// What to call it.
    #[garde(custom(text::line(1, 200)))]
    pub name: String,
    /// Made for a test: `guildhall cleanup-test-data` takes it away.
    #[serde(default)]
    #[garde(skip)]
    pub is_test: bool,
    /// The currency of deals that name none; US dollars where this is not given.
    #[garde(skip)]
    pub default_currency: Option<Currency>,
}

/// A change to an organization; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct OrganizationPatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Made for a test.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_test: Option<bool>,
    /// The currency of deals that name none.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub default_currency: Option<Currency>,
    /// What numbers of new deals begin with: up to ten capital letters and hyphens. Numbers that were given stay.
    #[garde(custom(text::maybe(prefix)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub number_prefix: Option<String>,
    /// How many digits they have at least, up to 12.
    #[garde(inner(range(min = 1, max = 12)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub number_pad: Option<i64>,
    /// What becomes of more money than a deal is worth.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub overpayment: Option<Overpayment>,
    /// Changes have to say which version they know.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub requires_if_match: Option<bool>,
    /// Whoever records a payment does not verify it.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub four_eyes: Option<bool>,
    /// Whoever made something sees it after it is given to others.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub creator_keeps_access: Option<bool>,
    /// Where its days begin: IANA's name of a time zone.
    #[garde(custom(text::maybe(zone)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub time_zone: Option<String>,
    /// Deals that are worth more than this in the default currency, and all in another one, are won only once
    /// somebody has verified them; `null` lifts that.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub approval_above: Option<Option<Amount>>,
}

fn zone<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    if is_zone(value.as_ref()) { Ok(()) } else { Err(garde::Error::new("Give a name like Europe/Vienna.")) }
}

/// Without digits, so that no prefix and number can spell another's.
fn prefix<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    let value = value.as_ref();
    let fine = (1..=10).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if fine { Ok(()) } else { Err(garde::Error::new("Give one to ten capital letters or hyphens.")) }
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrganizationRole)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// What programs call it: only the roles that an organization begins with have one.
    pub key: Option<String>,
    /// What it is called.
    pub name: String,
    /// The owner's role: it holds everything and stays as it is.
    pub is_system: bool,
    /// The words of the catalogue.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A role inside other objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoleStub {
    /// Its id.
    pub id: RoleId,
    /// What it is called.
    pub name: String,
}

/// A role to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewRole {
    /// What to call it.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// The words of the catalogue; none that the caller lacks.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub permissions: Vec<String>,
}

/// A change to a role; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct RolePatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// The words of the catalogue; none that the caller lacks.
    #[garde(inner(length(max = 200)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub permissions: Option<Vec<String>>,
}

/// A team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// What it is called.
    pub name: String,
    /// The team that it is part of.
    pub parent_id: Option<TeamId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A team to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewTeam {
    /// What to call it.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// The team that it is part of.
    #[garde(skip)]
    pub parent_id: Option<TeamId>,
}

/// A change to a team; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct TeamPatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// The team that it is part of; `null` takes it out.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub parent_id: Option<Option<TeamId>>,
}

/// Where somebody stands in an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// Asked to come in, and not in it: they have not accepted yet.
    Invited,
    /// In it.
    Active,
    /// Shut out, but what they own and did is still theirs.
    Deactivated,
    /// Their account is gone; only the ledger remembers that there was somebody.
    Gone,
}

/// Somebody in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrganizationMember)]
pub struct Member {
    /// The membership's id.
    pub id: MemberId,
    /// Who it is; `null` once the account is gone.
    pub user: Option<Person>,
    /// The account's id.
    pub user_id: Option<UserId>,
    /// What they may do.
    pub role: RoleStub,
    /// Their team.
    pub team_id: Option<TeamId>,
    /// They see the teams below their own too.
    pub leads_team: bool,
    /// Where they stand.
    pub status: MemberStatus,
    /// What they earn of verified money, in hundredths of a per cent; `null` for those who may not know.
    pub commission_bp: Option<i64>,
    /// When they came.
    pub created_at: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
}

/// Somebody to be taken into an organization.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewMember {
    /// Who.
    #[garde(skip)]
    pub user_id: UserId,
    /// What they may do.
    #[garde(skip)]
    pub role_id: RoleId,
    /// Their team.
    #[garde(skip)]
    pub team_id: Option<TeamId>,
    /// They see the teams below their own too.
    #[serde(default)]
    #[garde(skip)]
    pub leads_team: bool,
}

/// A change to somebody in an organization; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct MemberPatch {
    /// What they may do.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub role_id: Option<RoleId>,
    /// Their team; `null` takes them out of it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub team_id: Option<Option<TeamId>>,
    /// They see the teams below their own too.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub leads_team: Option<bool>,
    /// `active` or `deactivated`; not of somebody who has not accepted yet.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub status: Option<MemberStatus>,
    /// What they earn of verified money from now on, in hundredths of a per cent.
    #[garde(inner(range(min = 0, max = 10_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub commission_bp: Option<i64>,
}

/// To whom somebody's things go.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct Handover {
    /// The account of an active member.
    #[garde(skip)]
    pub to_user_id: UserId,
    /// Also say that they made what the other has made. Else only what is owned changes hands.
    #[serde(default)]
    #[garde(skip)]
    pub include_creator: bool,
}

/// What has changed hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reassigned {
    /// Clients.
    pub clients: u64,
    /// Deals.
    pub deals: u64,
}

/// What the caller is in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Own {
    /// The membership.
    pub member: Member,
    /// What it lets them do, in the words of the catalogue.
    pub permissions: Vec<String>,
}

/// What keeps something from being removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Holding {
    /// What it is: `deal`.
    pub model: &'static str,
    /// How it is held: `created_by`.
    pub relation: &'static str,
    /// How many there are.
    pub count: u64,
    /// The first few, in words for people.
    pub examples: Vec<String>,
}
