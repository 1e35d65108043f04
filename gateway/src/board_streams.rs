//! Streams of boards, which notify members of an organization that its deals or its pipelines have changed.

use async_trait::async_trait;
use guildhall_deals::{
    OrganizationId, SqlDeals,
    event::{
        ClientDeleted, ClientUpdated, DealAccessEnded, DealCreated, DealDeleted, DealLost, DealMoved, DealReopened,
        DealRepositioned, DealUpdated, DealWon, ImportFinished, ImportReverted, MemberReassigned, OrganizationDeleted,
        PaymentDecided, PaymentRecorded, PipelineChanged, StageEmptied, TrashRestored, organization_of,
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
            PipelineChanged::NAME,
            ImportFinished::NAME,
            ImportReverted::NAME,
            DealAccessEnded::NAME,
            OrganizationDeleted::NAME,
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
        if event.name == OrganizationDeleted::NAME {
            self.0.delete(tx, [stream]).await?;
            return Ok(());
        }
        let seq = match event.read::<DealAccessEnded>()? {
            Some(DealAccessEnded { user: Some(user), .. }) => self.0.append_check_of(tx, &stream, user).await?,
            Some(DealAccessEnded { user: None, .. }) => self.0.append_check(tx, &stream).await?,
            None => self.0.append(tx, &stream, &board_changed()).await?,
        };
        // A stream that somebody follows has its first event already. Without one, it was deleted with the organization
        // before this event was handled.
        if seq == 1 {
            self.0.delete(tx, [stream]).await?;
        }
        Ok(())
    }
}
