//! Files about deals, and the receipts of payments. Whoever may see a deal sees its files; whoever may see its
//! payments their receipts.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller,
    file::{Content, Stored, Upload},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
};

use super::SqlDeals;
use crate::{
    DealFile, DealFileId, DealFiles, Error, OrganizationId, PaymentId, Place, Result,
    entity::{deal, deal_file},
    permission::Permission,
};

/// How many files a deal has at most, and how many receipts a payment.
const MOST_FILES: u64 = 50;
const MOST_RECEIPTS: u64 = 10;

/// What a receipt may be, by what its content begins with.
const RECEIPTS: [(&[u8], &str); 6] = [
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"II*\0", "image/tiff"),
];

/// What a receipt is, whatever its sender says.
fn kind_of_receipt(bytes: &[u8]) -> Result<&'static str> {
    let known = RECEIPTS.iter().find(|(beginning, kind)| {
        let is_webp = bytes.get(8..12) == Some(b"WEBP");
        bytes.starts_with(beginning) && (*kind != "image/webp" || is_webp)
    });
    known.map(|(_, kind)| *kind).ok_or_else(|| Error::field("file", "A PDF or a picture is needed."))
}

/// The files about a deal, or the receipts of one of its payments.
fn at(deal: &deal::Model, payment: Option<PaymentId>) -> Select<deal_file::Entity> {
    let found = deal_file::Entity::find()
        .filter(deal_file::COLUMN.org_id.eq(deal.org_id))
        .filter(deal_file::COLUMN.deal_id.eq(deal.id));
    match payment {
        Some(payment) => found.filter(deal_file::COLUMN.payment_id.eq(payment)),
        None => found.filter(deal_file::COLUMN.payment_id.is_null()),
    }
}

/// The deal, and the payment if one is named, for somebody who may do something with them.
async fn find(
    deals: &SqlDeals,
    conn: &impl ConnectionTrait,
    access: &super::access::Access,
    (place, payment): (Place, Option<PaymentId>),
    permission: Permission,
) -> Result<deal::Model> {
    let Some(payment) = payment else {
        return match permission {
            Permission::DealRead => access.find_deal(conn, place).await,
            permission => access.deal_for(conn, place, permission).await,
        };
    };
    let deal = access.deal_for(conn, place, permission).await?;
    deals.find_payment(conn, &deal, payment).await?;
    Ok(deal)
}

impl SqlDeals {
    /// Files as they are shown to somebody.
    async fn show_files(&self, caller: &Caller, rows: Vec<deal_file::Model>) -> Result<Vec<DealFile>> {
        let people = self.members_as_people(self.db.conn(), rows.iter().map(|row| row.added_by)).await?;
        let show = |row: deal_file::Model| DealFile {
            id: row.id,
            url: self.host.files.url(row.file_id, None, &row.name, Some(caller.user)),
            name: row.name,
            content_type: row.content_type,
            size: row.size,
            added_by: people.get(row.added_by),
            created_at: row.created_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn read_files(
        &self,
        caller: &Caller,
        org: OrganizationId,
        what: (Place, Option<PaymentId>),
    ) -> Result<Vec<DealFile>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let permission = if what.1.is_some() { Permission::PaymentRead } else { Permission::DealRead };
        let deal = find(self, conn, &access, what, permission).await?;
        let rows = at(&deal, what.1).order_by_asc(deal_file::Column::Id).limit(MOST_FILES).all(conn).await?;
        self.show_files(caller, rows).await
    }

    async fn put_file(
        &self,
        caller: &Caller,
        org: OrganizationId,
        what: (Place, Option<PaymentId>),
        upload: Upload,
    ) -> Result<DealFile> {
        let (permission, most) = match what.1 {
            Some(_) => (Permission::PaymentCreate, MOST_RECEIPTS),
            None => (Permission::DealUpdate, MOST_FILES),
        };
        // Looked at before anything is stored, and once more in the transaction.
        let access = self.enter(self.db.conn(), caller, org).await?;
        find(self, self.db.conn(), &access, what, permission).await?;
        let content_type = match what.1 {
            Some(_) => kind_of_receipt(&upload.bytes)?.to_owned(),
            None => upload.content_type,
        };
        let stored = self.host.files.put(caller.user, Content::bytes(content_type, upload.bytes)).await?;
        let (stored, name): (&Stored, &str) = (&stored, &upload.name);
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                super::lock::<deal::Entity>(conn, what.0.deal).await?;
                let access = self.enter(conn, caller, org).await?;
                let deal = find(self, conn, &access, what, permission).await?;
                if at(&deal, what.1).count(conn).await? >= most {
                    return Err(Error::field("file", format!("There are {most} files at most.")));
                }
                let file_id = self.host.files.keep(conn, stored).await?;
                let row = deal_file::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    deal_id: Set(deal.id),
                    payment_id: Set(what.1),
                    file_id: Set(file_id),
                    name: Set(name.to_owned()),
                    content_type: Set(stored.content_type().to_owned()),
                    size: Set(stored.size()),
                    added_by: Set(access.member.id),
                    created_at: Set(self.now()),
                };
                let row = row.insert(conn).await?;
                let object = what.1.map_or(("deal", deal.id.0), |payment| ("payment", payment.0));
                let detail = vec![("file", name.into())];
                self.noted(conn, (caller, &access), "deals.add_file", object, detail).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        self.show_files(caller, vec![row]).await?.pop().ok_or(Error::NotFound("file"))
    }
}

#[async_trait]
impl DealFiles for SqlDeals {
    async fn files(&self, caller: &Caller, org: OrganizationId, at: Place) -> Result<Vec<DealFile>> {
        self.read_files(caller, org, (at, None)).await
    }

    async fn add_file(&self, caller: &Caller, org: OrganizationId, at: Place, upload: Upload) -> Result<DealFile> {
        self.put_file(caller, org, (at, None), upload).await
    }

    async fn remove_file(&self, caller: &Caller, org: OrganizationId, place: Place, id: DealFileId) -> Result<()> {
        self.act(|tx| async move {
            let conn = tx.conn();
            let opened = self.open_deal(conn, caller, org, place, Permission::DealUpdate).await?;
            let found = at(&opened.before, None).filter(deal_file::COLUMN.id.eq(id)).one(conn).await?;
            let row = found.ok_or(Error::NotFound("file"))?;
            deal_file::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("file", row.name.into())];
            let object = ("deal", place.deal.0);
            self.noted(conn, (caller, &opened.access), "deals.remove_file", object, detail).await
        })
        .await
    }

    async fn receipts(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        payment: PaymentId,
    ) -> Result<Vec<DealFile>> {
        self.read_files(caller, org, (at, Some(payment))).await
    }

    async fn add_receipt(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        payment: PaymentId,
        upload: Upload,
    ) -> Result<DealFile> {
        self.put_file(caller, org, (at, Some(payment)), upload).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_what_its_content_says() {
        assert_eq!(kind_of_receipt(b"%PDF-1.7").unwrap(), "application/pdf");
        assert_eq!(kind_of_receipt(b"RIFF\0\0\0\0WEBPVP8 ").unwrap(), "image/webp");
        for other in [&b"<html>"[..], b"", b"RIFF\0\0\0\0WAVE", b"MZ"] {
            assert!(kind_of_receipt(other).is_err());
        }
    }
}
