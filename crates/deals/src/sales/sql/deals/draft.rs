//! New deals: their rows, and the rules for them. Nothing here reads the database, since imports create many deals at
//! once.

use guildhall_kernel::Timestamp;

use super::stage_changes::lost_reason;
use crate::{
    Amount, ClientId, ContactId, Currency, Day, DealId, DealStatus, Error, MemberId, Result, Verification,
    core::access::Access,
    entity::{client, deal, organization, stage},
    permission::Permission,
    rank,
    sales::sql::{
        search_text,
        stage_requirements::{check_approval, check_required_fields},
    },
};

/// The sort key of the expected close date. Deals without a date sort last.
pub(super) fn close_key(day: Option<&Day>) -> String {
    day.map_or_else(|| "~".to_owned(), ToString::to_string)
}

/// Parses the value of a deal into minor units.
pub(super) fn parse_value(amount: &Amount, currency: &Currency) -> Result<i64> {
    let minor = amount.minor(currency).map_err(|message| Error::field("value", message))?;
    if minor < 0 { Err(Error::field("value", "Value must not be negative.")) } else { Ok(minor) }
}

/// The currency of a new deal: the organization's default currency by default.
pub(crate) fn currency_of(org: &organization::Model, given: Option<Currency>) -> Currency {
    given.unwrap_or_else(|| org.default_currency.clone())
}

/// The value of a new deal in minor units: 0 by default.
pub(crate) fn value_of(given: Option<&Amount>, currency: &Currency) -> Result<i64> {
    given.map_or(Ok(0), |amount| parse_value(amount, currency))
}

/// The fields of a new deal.
pub(crate) struct DealInput<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) source: &'a str,
    /// Ignored unless the kind of the stage is `lost`.
    pub(crate) lost_reason: &'a str,
    pub(crate) value_minor: i64,
    pub(crate) currency: Currency,
    /// That of the stage by default.
    pub(crate) probability: Option<i64>,
    pub(crate) expected_close_date: Option<Day>,
    pub(crate) contact_id: Option<ContactId>,
    pub(crate) owner_id: MemberId,
    /// The stored values of custom fields.
    pub(crate) custom: String,
}

/// A new deal in a stage, until [`number_deal`] completes it.
pub(crate) fn draft(access: &Access, stage: &stage::Model, input: DealInput<'_>) -> deal::Model {
    let unset = Timestamp::EPOCH;
    deal::Model {
        id: DealId(0),
        org_id: access.org.id,
        number: 0,
        code: String::new(),
        title: input.title.trim().to_owned(),
        description: input.description.to_owned(),
        client_id: ClientId(0),
        contact_id: input.contact_id,
        pipeline_id: stage.pipeline_id,
        stage_id: stage.id,
        status: stage.kind,
        position: String::new(),
        owner_id: input.owner_id,
        created_by: access.member.id,
        value_minor: input.value_minor,
        currency: input.currency,
        received_minor: 0,
        verified_minor: 0,
        probability: input.probability.unwrap_or(stage.probability),
        source: input.source.trim().to_owned(),
        close_key: close_key(input.expected_close_date.as_ref()),
        expected_close_date: input.expected_close_date,
        closed_at: None,
        lost_reason: lost_reason(stage, input.lost_reason),
        verification: Verification::Pending,
        verification_note: String::new(),
        stage_entered_at: unset,
        search_text: String::new(),
        archived_at: None,
        deleted_at: None,
        deletion_id: None,
        created_at: unset,
        updated_at: unset,
        import_id: None,
        custom: input.custom,
    }
}

/// Requires the permission to create a deal in a stage.
pub(super) fn may_create_in(access: &Access, stage: &stage::Model) -> Result<()> {
    if stage.kind == DealStatus::Open { Ok(()) } else { access.may(Permission::DealClose) }
}

/// Checks that a draft may be created in its stage; returns all errors.
pub(crate) fn check_new_deal(access: &Access, row: &deal::Model, stage: &stage::Model) -> Vec<Error> {
    let checks =
        [may_create_in(access, stage), check_required_fields(row, stage), check_approval(&access.org, row, stage)];
    checks.into_iter().filter_map(Result::err).collect()
}

/// Completes a draft with its client, its number and the time of its creation.
pub(crate) fn number_deal(
    draft: deal::Model,
    org: &organization::Model,
    client: &client::Model,
    number: i64,
    now: Timestamp,
) -> deal::Model {
    let pad = usize::try_from(org.number_pad).unwrap_or(4);
    let code = format!("{}{number:0pad$}", org.number_prefix);
    deal::Model {
        number,
        client_id: client.id,
        position: rank::last(now, number),
        search_text: search_text::of_deal(&draft.title, &code, client),
        code,
        closed_at: (draft.status != DealStatus::Open).then_some(now),
        stage_entered_at: now,
        created_at: now,
        updated_at: now,
        ..draft
    }
}
