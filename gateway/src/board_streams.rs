//! Streams of boards, which tell members of an organization that its deals have changed.

use async_trait::async_trait;
use guildhall_deals::{
    OrganizationId, SqlDeals,
    event::{
        ClientDeleted, ClientUpdated, DealAccessEnded, DealCreated, DealDeleted, DealLost, DealMoved, DealReopened,
        DealRepositioned, DealUpdated, DealWon, ImportFinished, ImportReverted, MemberReassigned, PaymentDecided,
        PaymentRecorded, StageEmptied, TrashRestored, organization_of,
    },
};
use guildhall_kernel::{
    Caller, Result,
    db::Tx,
    event::{Emitted, Event, Subscriber},
};
use guildhall_realtime::{Seq, StreamHandler, StreamName, Streams};
use sea_orm::DbErr;
use serde_json::{Value, json};

/// The kind of the streams.
const KIND: &str = "deals_board";

fn stream(organization: OrganizationId) -> StreamName {
    StreamName::new(KIND, organization.0)
}

fn board_changed() -> Value {
    json!({ "type": "board_changed" })
}

/// Members who may see deals, at least their own, may follow the stream of an organization.
pub(crate) struct BoardAccess(pub(crate) SqlDeals);

#[async_trait]
impl StreamHandler for BoardAccess {
    fn kinds(&self) -> Vec<&'static str> {
        vec![KIND]
    }

    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        let Some(id) = stream.id() else { return Ok(None) };
        Ok(self.0.may_see_deals(caller, OrganizationId(id)).await?.then_some(0))
    }

    fn first_event(&self) -> Option<Value> {
        Some(board_changed())
    }
}

/// Appends to the streams of boards. The events contain nothing about a deal, since members may see different ones: who
/// follows a stream reads the board again.
pub(crate) struct BoardStreams(pub(crate) Streams);

#[async_trait]
impl Subscriber for BoardStreams {
    fn name(&self) -> &'static str {
        "realtime.boards"
    }

    fn events(&self) -> Vec<&'static str> {
        vec![
            DealCreated::NAME,
            DealUpdated::NAME,
            DealMoved::NAME,
            DealRepositioned::NAME,
            DealWon::NAME,
            DealLost::NAME,
            DealReopened::NAME,
            DealDeleted::NAME,
            TrashRestored::NAME,
            PaymentRecorded::NAME,
            PaymentDecided::NAME,
            ClientUpdated::NAME,
            ClientDeleted::NAME,
            MemberReassigned::NAME,
            StageEmptied::NAME,
            ImportFinished::NAME,
            ImportReverted::NAME,
            DealAccessEnded::NAME,
        ]
    }

    /// Whether somebody has ever followed the board. Most boards cost no more than this query.
    async fn wants(&self, tx: &Tx, aggregate: &str) -> Result<bool, DbErr> {
        match organization_of(aggregate) {
            Some(organization) => self.0.has_begun(tx, &stream(organization)).await,
            None => Ok(false),
        }
    }

    async fn handle(&self, tx: &Tx, event: &Emitted) -> Result<()> {
        let Some(organization) = organization_of(&event.aggregate) else { return Ok(()) };
        let stream = stream(organization);
        if event.name == DealAccessEnded::NAME {
            self.0.append_check(tx, &stream).await?;
        } else {
            self.0.append(tx, &stream, &board_changed()).await?;
        }
        Ok(())
    }
}
