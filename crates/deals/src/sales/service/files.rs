use async_trait::async_trait;
use guildhall_files::Upload;
use guildhall_kernel::Caller;

use crate::{DealFile, DealFileId, DealRef, OrganizationId, PaymentId, Result};

/// Files of deals, and receipts of payments.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait DealFiles: Send + Sync + 'static {
    /// The files of a deal, at most 50.
    async fn files(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef) -> Result<Vec<DealFile>>;
    /// Adds a file to a deal.
    async fn add_file(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        upload: Upload,
    ) -> Result<DealFile>;
    /// Removes a file from a deal.
    async fn remove_file(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, id: DealFileId) -> Result<()>;
    /// The receipts of a payment, at most 10.
    async fn receipts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        payment: PaymentId,
    ) -> Result<Vec<DealFile>>;
    /// Adds a receipt to a payment: a PDF or an image, as detected from its content. Receipts cannot be removed.
    async fn add_receipt(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        payment: PaymentId,
        upload: Upload,
    ) -> Result<DealFile>;
}
