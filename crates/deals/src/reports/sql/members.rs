//! Sums of members, ranked.

use guildhall_kernel::Person;
use sea_orm::FromQueryResult;

use super::SqlReports;
use crate::{Currency, MemberId, Result, core::sums::join_parts};

/// The sum of a member, in one currency.
#[derive(Debug, FromQueryResult)]
pub(super) struct MemberSum {
    pub(super) member: MemberId,
    pub(super) currency: Currency,
    pub(super) n: i64,
    pub(super) hi: i64,
    pub(super) lo: i64,
}

impl SqlReports {
    /// Sorts sums by currency and descending amount, and adds the people.
    pub(super) async fn rank_members(&self, mut sums: Vec<MemberSum>) -> Result<Vec<(MemberSum, Option<Person>)>> {
        let members: Vec<MemberId> = sums.iter().map(|sum| sum.member).collect();
        let people = self.core.members_as_people(self.core.db.conn(), members).await?;
        sums.sort_by(|one, other| {
            let amount = |sum: &MemberSum| std::cmp::Reverse(join_parts(sum.hi, sum.lo));
            (&one.currency, amount(one), one.member).cmp(&(&other.currency, amount(other), other.member))
        });
        let with_person = |sum: MemberSum| {
            let person = people.get(sum.member);
            (sum, person)
        };
        Ok(sums.into_iter().map(with_person).collect())
    }
}
