//! Files of deals, and receipts of payments. Whoever may see a deal may see its files, and whoever may see its payments
//! their receipts.

use async_trait::async_trait;
use futures_util::future::OptionFuture;
use guildhall_files::{Content, Stored, Upload};
use guildhall_kernel::{Caller, db};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Set,
};

use crate::{
    DealFile, DealFileId, DealFiles, DealRef, Error, OrganizationId, PaymentId, Result, SqlSales,
    core::{Conn, access::Access, objects::stored_deal},
    entity::{deal, deal_file},
    ledger::sql::find_payment,
    permission::Permission,
};

/// The maximum number of files of a deal, and of receipts of a payment.
const MAX_FILES: u64 = 50;
const MAX_RECEIPTS: u64 = 10;

/// The media types of receipts, by the first bytes of the content.
const RECEIPT_TYPES: [(&[u8], &str); 6] = [
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"II*\0", "image/tiff"),
];

/// The deal that files belong to, and the payment if they are receipts.
#[derive(Clone, Copy)]
struct FileTarget {
    deal_ref: DealRef,
    payment: Option<PaymentId>,
}

/// The media type of a receipt by its content, whatever the upload declares.
fn receipt_type(bytes: &[u8]) -> Result<&'static str> {
    let found = RECEIPT_TYPES.iter().find(|(signature, media_type)| {
        let is_webp = bytes.get(8..12) == Some(b"WEBP");
        bytes.starts_with(signature) && (*media_type != "image/webp" || is_webp)
    });
    found.map(|(_, media_type)| *media_type).ok_or_else(|| Error::field("file", "Must be a PDF or an image."))
}

/// The files of a deal, or the receipts of one of its payments.
fn files_of(deal: &deal::Model, payment: Option<PaymentId>) -> Select<deal_file::Entity> {
    let select = deal_file::Entity::find()
        .filter(deal_file::COLUMN.org_id.eq(deal.org_id))
        .filter(deal_file::COLUMN.deal_id.eq(deal.id));
    match payment {
        Some(payment) => select.filter(deal_file::COLUMN.payment_id.eq(payment)),
        None => select.filter(deal_file::COLUMN.payment_id.is_null()),
    }
}

impl SqlSales {
    /// Loads the caller's access and the deal of a target, for an operation that needs this permission. Checks that the
    /// payment exists.
    async fn access_to_target<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        (org, target): (OrganizationId, FileTarget),
        permission: Permission,
    ) -> Result<(Access, deal::Model)> {
        let FileTarget { deal_ref, payment } = target;
        let pipeline = conn.pipeline();
        let find = |payment| find_payment(&pipeline, (org, deal_ref.deal), payment);
        let read =
            async { tokio::join!(stored_deal(&pipeline, org, deal_ref.deal), OptionFuture::from(payment.map(find))) };
        let (access, (deal, payment)) = self.core.access_and((conn, &pipeline), caller, org, read).await?;
        let deal = access.permitted_deal(deal?, deal_ref, permission)?;
        payment.transpose()?;
        Ok((access, deal))
    }

    /// Converts rows to files, with URLs for the caller.
    async fn show_files(&self, caller: &Caller, rows: Vec<deal_file::Model>) -> Result<Vec<DealFile>> {
        let people = self.core.members_as_people(self.core.db.conn(), rows.iter().map(|row| row.added_by)).await?;
        let show = |row: deal_file::Model| DealFile {
            id: row.id,
            url: self.core.host.files.url(row.file_id, None, &row.name, Some(caller.user)),
            name: row.name,
            content_type: row.content_type,
            size: row.size,
            added_by: people.get(row.added_by),
            created_at: row.created_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn read_files(&self, caller: &Caller, org: OrganizationId, target: FileTarget) -> Result<Vec<DealFile>> {
        let conn = self.core.db.conn();
        let permission = if target.payment.is_some() { Permission::PaymentRead } else { Permission::DealRead };
        let (_, deal) = self.access_to_target(conn, caller, (org, target), permission).await?;
        let rows = files_of(&deal, target.payment);
        let rows = rows.order_by_asc(deal_file::Column::Id).limit(MAX_FILES).all(conn).await?;
        self.show_files(caller, rows).await
    }

    async fn put_file(
        &self,
        caller: &Caller,
        org: OrganizationId,
        target: FileTarget,
        upload: Upload,
    ) -> Result<DealFile> {
        let (permission, max_files) = match target.payment {
            Some(_) => (Permission::PaymentCreate, MAX_RECEIPTS),
            None => (Permission::DealUpdate, MAX_FILES),
        };
        // Checked before the content is stored, and again in the transaction.
        self.access_to_target(self.core.db.conn(), caller, (org, target), permission).await?;
        let content_type = match target.payment {
            Some(_) => receipt_type(&upload.bytes)?.to_owned(),
            None => upload.content_type,
        };
        let stored = self.core.host.files.store(caller.user, Content::bytes(content_type, upload.bytes)).await?;
        let (stored, name): (&Stored, &str) = (&stored, &upload.name);
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<deal::Entity>(conn, target.deal_ref.deal).await?;
                let (access, deal) = self.access_to_target(conn, caller, (org, target), permission).await?;
                if files_of(&deal, target.payment).count(conn).await? >= max_files {
                    return Err(Error::field("file", format!("At most {max_files} files are allowed.")));
                }
                let file_id = self.core.host.files.attach(conn, stored).await?;
                let row = deal_file::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    deal_id: Set(deal.id),
                    payment_id: Set(target.payment),
                    file_id: Set(file_id),
                    name: Set(name.to_owned()),
                    content_type: Set(stored.content_type().to_owned()),
                    size: Set(stored.size()),
                    added_by: Set(access.member.id),
                    created_at: Set(self.core.now()),
                };
                let row = row.insert(conn).await?;
                let object = target.payment.map_or(("deal", deal.id.0), |payment| ("payment", payment.0));
                let detail = vec![("file", name.into())];
                self.core.record(conn, (caller, &access), "deals.add_file", object, detail).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        self.show_files(caller, vec![row]).await?.pop().ok_or(Error::NotFound("file"))
    }
}

#[async_trait]
impl DealFiles for SqlSales {
    async fn files(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef) -> Result<Vec<DealFile>> {
        self.read_files(caller, org, FileTarget { deal_ref, payment: None }).await
    }

    async fn add_file(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        upload: Upload,
    ) -> Result<DealFile> {
        self.put_file(caller, org, FileTarget { deal_ref, payment: None }, upload).await
    }

    async fn remove_file(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, id: DealFileId) -> Result<()> {
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let locked = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                let row = files_of(&locked.before, None).filter(deal_file::COLUMN.id.eq(id)).one(conn).await?;
                let row = row.ok_or(Error::NotFound("file"))?;
                deal_file::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("file", row.name.into())];
                let object = ("deal", deal_ref.deal.0);
                self.core.record(conn, (caller, &locked.access), "deals.remove_file", object, detail).await
            })
            .await
    }

    async fn receipts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        payment: PaymentId,
    ) -> Result<Vec<DealFile>> {
        self.read_files(caller, org, FileTarget { deal_ref, payment: Some(payment) }).await
    }

    async fn add_receipt(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        payment: PaymentId,
        upload: Upload,
    ) -> Result<DealFile> {
        self.put_file(caller, org, FileTarget { deal_ref, payment: Some(payment) }, upload).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_receipt_is_detected_from_its_content() {
        assert_eq!(receipt_type(b"%PDF-1.7").unwrap(), "application/pdf");
        assert_eq!(receipt_type(b"RIFF\0\0\0\0WEBPVP8 ").unwrap(), "image/webp");
        for other in [&b"<html>"[..], b"", b"RIFF\0\0\0\0WAVE", b"MZ"] {
            assert!(receipt_type(other).is_err());
        }
    }
}
