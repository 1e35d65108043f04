//! The objects that a path names. Compatibility routes name a deal within its client, or name no organization; the
//! handlers read either form through these extractors.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use guildhall_kernel::{
    Auth, Caller, Error, Path, Result,
    openapi::{OperationInput, add_path_ids, add_request_header},
};
use serde::Deserialize;
use utoipa::openapi::path::Operation;

use crate::{ClientId, DealId, DealRef, OrganizationId, Organizations, PaymentId};

/// The ids in a path.
#[derive(Deserialize)]
struct Ids {
    org: Option<OrganizationId>,
    client: Option<ClientId>,
    deal: Option<DealId>,
    payment: Option<PaymentId>,
}

/// The organization of a request: the one in the path, else the one that `X-Organization` names, else the only one that
/// the caller is a member of.
pub(crate) struct OrganizationPath(pub(crate) OrganizationId);

/// A client.
pub(crate) struct ClientPath {
    pub(crate) org: OrganizationId,
    pub(crate) client: ClientId,
}

/// The deals of an organization, or of one client.
pub(crate) struct DealsPath {
    pub(crate) org: OrganizationId,
    pub(crate) client: Option<ClientId>,
}

/// A deal, checked to belong to the client where the path names one.
pub(crate) struct DealPath {
    pub(crate) org: OrganizationId,
    pub(crate) deal: DealRef,
}

/// A payment for a deal.
pub(crate) struct PaymentPath {
    pub(crate) org: OrganizationId,
    pub(crate) deal: DealRef,
    pub(crate) payment: PaymentId,
}

fn not_found() -> Error {
    Error::new(guildhall_kernel::Kind::NotFound, "not_found", "Not found.")
}

impl Ids {
    fn deal(&self) -> Result<DealRef> {
        Ok(DealRef { client: self.client, deal: self.deal.ok_or_else(not_found)? })
    }
}

async fn read<S>(parts: &mut Parts, state: &S) -> Result<(OrganizationId, Ids)>
where
    Auth: FromRef<S>,
    Arc<dyn Organizations>: FromRef<S>,
    S: Send + Sync,
{
    let Path(ids) = Path::<Ids>::from_request_parts(parts, state).await?;
    let org = match (ids.org, parts.headers.get("x-organization")) {
        (Some(org), _) => org,
        (None, Some(header)) => {
            let id = header.to_str().ok().and_then(|header| header.trim().parse().ok());
            OrganizationId(id.ok_or_else(|| Error::field("X-Organization", "Must be a whole number."))?)
        }
        (None, None) => {
            let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
            <Arc<dyn Organizations>>::from_ref(state).only_organization(&caller).await?
        }
    };
    Ok((org, ids))
}

macro_rules! target {
    ($target:ident, |$org:ident, $ids:ident| $build:expr) => {
        impl<S> FromRequestParts<S> for $target
        where
            Auth: FromRef<S>,
            Arc<dyn Organizations>: FromRef<S>,
            S: Send + Sync,
        {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
                let ($org, $ids) = read(parts, state).await?;
                Ok($build)
            }
        }

        impl OperationInput for $target {
            fn describe(operation: &mut Operation, path: &str) {
                add_path_ids(operation, path);
                if !path.contains("{org}") {
                    let description = "The organization, for members of several ones.";
                    add_request_header(operation, "X-Organization", description);
                }
            }
        }
    };
}

target!(OrganizationPath, |org, _ids| Self(org));
target!(ClientPath, |org, ids| Self { org, client: ids.client.ok_or_else(not_found)? });
target!(DealsPath, |org, ids| Self { org, client: ids.client });
target!(DealPath, |org, ids| Self { org, deal: ids.deal()? });
target!(PaymentPath, |org, ids| Self { org, deal: ids.deal()?, payment: ids.payment.ok_or_else(not_found)? });
