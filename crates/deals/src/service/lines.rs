use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, file::Upload};

use crate::{DealFile, DealFileId, Line, LineId, LinePatch, NewLine, OrganizationId, PaymentId, Place, Result};

/// What deals are made up of.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Lines: Send + Sync + 'static {
    /// The lines of a deal, in their order; a hundred at most.
    async fn lines(&self, caller: &Caller, org: OrganizationId, at: Place) -> Result<Vec<Line>>;
    /// Adds a line; the deal is worth what its lines are worth from then on.
    async fn add_line(&self, caller: &Caller, org: OrganizationId, at: Place, new: NewLine) -> Result<Line>;
    /// Changes a line, and with it what the deal is worth.
    async fn change_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: LineId,
        patch: LinePatch,
        known: IfMatch,
    ) -> Result<Line>;
    /// Removes a line, and with it what the deal is worth; with the last one that stays.
    async fn remove_line(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        id: LineId,
        known: IfMatch,
    ) -> Result<()>;
}

/// Files about deals, and the receipts of payments.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait DealFiles: Send + Sync + 'static {
    /// The files about a deal; fifty at most.
    async fn files(&self, caller: &Caller, org: OrganizationId, at: Place) -> Result<Vec<DealFile>>;
    /// Adds a file about a deal.
    async fn add_file(&self, caller: &Caller, org: OrganizationId, at: Place, upload: Upload) -> Result<DealFile>;
    /// Removes a file about a deal.
    async fn remove_file(&self, caller: &Caller, org: OrganizationId, at: Place, id: DealFileId) -> Result<()>;
    /// The receipts of a payment; ten at most.
    async fn receipts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        payment: PaymentId,
    ) -> Result<Vec<DealFile>>;
    /// Adds a receipt, which stays as long as the payment: a PDF or a picture, by what is in it.
    async fn add_receipt(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        payment: PaymentId,
        upload: Upload,
    ) -> Result<DealFile>;
}
