//! Names are resolved to allowed addresses only.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Decides which addresses may be connected to.
pub(super) type Allowed = fn(IpAddr) -> bool;

/// A DNS resolver that returns allowed addresses only.
pub(super) struct Resolver {
    pub(super) allowed: Allowed,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(look_up(name, self.allowed))
    }
}

async fn look_up(name: Name, allowed: Allowed) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    // The client takes the port from the URL.
    let all = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let addresses: Vec<SocketAddr> = all.filter(|address| allowed(address.ip())).collect();
    if addresses.is_empty() {
        return Err(NotPublic.into());
    }
    Ok(Box::new(addresses.into_iter()))
}

/// The host has no public address.
#[derive(Debug, thiserror::Error)]
#[error("the host is not on the public internet")]
pub(super) struct NotPublic;
