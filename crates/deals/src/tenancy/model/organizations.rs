use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Amount, Currency, OrganizationId, Overpayment, zone::is_zone};

/// An organization, as its members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Organization {
    /// The organization's id.
    pub id: OrganizationId,
    /// Its name. Not unique.
    pub name: String,
    /// Its unique name in URLs.
    pub slug: String,
    /// Whether it was created for a test: `guildhall cleanup-test-data` deletes it.
    pub is_test: bool,
    /// The currency of deals that specify none.
    pub default_currency: Currency,
    /// The name of the caller's role.
    pub role: String,
    /// The prefix of new deal numbers.
    pub number_prefix: String,
    /// The minimum number of digits of new deal numbers.
    pub number_pad: i64,
    /// How payments above the value of a deal are handled.
    pub overpayment: Overpayment,
    /// Whether changes require `If-Match`; without it they fail with 428.
    pub requires_if_match: bool,
    /// Whether members are prevented from verifying payments that they recorded themselves.
    pub four_eyes: bool,
    /// Whether the creator of an object keeps access to it after it is reassigned.
    pub creator_keeps_access: bool,
    /// The IANA time zone, which decides when a day begins.
    #[schema(example = "Europe/Vienna")]
    pub time_zone: String,
    /// Deals above this value in the default currency, and all deals in another currency, must be verified before they
    /// can be won.
    #[schema(example = "10000.00")]
    pub approval_above: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A new organization.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewOrganization {
    /// Its name.
    #[garde(custom(text::line(1, 200)))]
    pub name: String,
    /// Whether it is created for a test: `guildhall cleanup-test-data` deletes it.
    #[serde(default)]
    #[garde(skip)]
    pub is_test: bool,
    /// The currency of deals that specify none; by default US dollars.
    #[garde(skip)]
    pub default_currency: Option<Currency>,
}

/// A change to an organization; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct OrganizationPatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Whether it was created for a test.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_test: Option<bool>,
    /// The currency of deals that specify none.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub default_currency: Option<Currency>,
    /// The prefix of new deal numbers: one to ten capital letters and hyphens. Existing numbers do not change.
    #[garde(custom(text::maybe(prefix)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub number_prefix: Option<String>,
    /// The minimum number of digits of new deal numbers, from 1 to 12.
    #[garde(inner(range(min = 1, max = 12)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub number_pad: Option<i64>,
    /// How payments above the value of a deal are handled.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub overpayment: Option<Overpayment>,
    /// Whether changes require `If-Match`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub requires_if_match: Option<bool>,
    /// Whether members are prevented from verifying payments that they recorded themselves.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub four_eyes: Option<bool>,
    /// Whether the creator of an object keeps access to it after it is reassigned.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub creator_keeps_access: Option<bool>,
    /// The IANA time zone, which decides when a day begins.
    #[garde(custom(text::maybe(zone)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub time_zone: Option<String>,
    /// Deals above this value in the default currency, and all deals in another currency, must be verified before they
    /// can be won; `null` removes the limit.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub approval_above: Option<Option<Amount>>,
}

fn zone<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    if is_zone(value.as_ref()) {
        Ok(())
    } else {
        Err(garde::Error::new("Must be an IANA time zone such as Europe/Vienna."))
    }
}

/// A prefix has no digits, so that different prefixes and numbers never give the same code.
fn prefix<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    let value = value.as_ref();
    let is_valid =
        (1..=10).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if is_valid { Ok(()) } else { Err(garde::Error::new("Use 1 to 10 capital letters and hyphens.")) }
}
