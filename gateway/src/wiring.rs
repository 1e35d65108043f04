use std::sync::Arc;

use axum::Router;
use guildhall_accounts::{AccountsState, SqlAccounts};
use guildhall_community::{CommunityState, SqlCommunity};
use guildhall_kernel::{Auth, Clock, Db, PublicUrl};

use crate::{Settings, health, layers};

/// Where the crates' routers are nested.
pub(crate) mod mounts {
    /// `/api/auth/…` and `/api/users/…`.
    pub(crate) const ACCOUNTS: &str = "/api";
    /// `/api/community/…`.
    pub(crate) const COMMUNITY: &str = "/api/community";
    /// `/.well-known/…` (RFC 8615).
    pub(crate) const WELL_KNOWN: &str = "/.well-known";
}

/// The services that the command line and the server share.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub db: Db,
    /// Accounts and tokens.
    pub accounts: SqlAccounts,
}

impl Services {
    /// Opens the database, brings its tables up to date if asked to, and opens the services on it.
    pub async fn open(settings: &Settings, migrate: bool) -> anyhow::Result<Self> {
        let db = Self::database(settings).await?;
        if migrate {
            db.migrate(guildhall_migration::all).await?;
        } else if db.migration_status(guildhall_migration::all).await?.iter().all(|(_, applied)| !applied) {
            anyhow::bail!("the database has no tables yet; run `guildhall migrate`");
        }
        let accounts = SqlAccounts::open(db.clone(), settings.accounts.clone(), Clock::system()).await?;
        Ok(Self { db, accounts })
    }

    /// Opens the database alone; makes the folder that an embedded one lives in.
    pub async fn database(settings: &Settings) -> anyhow::Result<Db> {
        if settings.database.url.is_empty() {
            private_folder(&settings.data_dir)?;
        }
        Ok(Db::connect(&settings.database_url(), settings.connections()).await?)
    }

    /// The whole server as one router.
    pub(crate) fn router(&self, settings: &Settings, url: &PublicUrl) -> anyhow::Result<Router> {
        let auth = Auth::new(self.accounts.clone());
        let accounts = AccountsState {
            accounts: Arc::new(self.accounts.clone()),
            tokens: Arc::new(self.accounts.clone()),
            auth: auth.clone(),
            url: url.clone(),
        };
        let mount = url.join(mounts::COMMUNITY).parse()?;
        let directory = Arc::new(self.accounts.clone());
        let community =
            SqlCommunity::new(self.db.clone(), directory, Clock::system(), mount, settings.community.clone());
        let community = CommunityState { community: Arc::new(community), auth: auth.clone(), url: url.clone() };

        let routes = Router::new()
            .nest(mounts::WELL_KNOWN, guildhall_accounts::well_known(accounts.clone()).into())
            .nest(mounts::ACCOUNTS, guildhall_accounts::router(accounts).into())
            .nest(mounts::COMMUNITY, guildhall_community::router(community).into())
            .merge(health::router(self.db.clone(), auth, settings.metrics.bind.is_empty()))
            .merge(health::pages());
        Ok(layers::wrap(routes, settings, url))
    }
}

/// Makes a folder that only its owner can look into: the database holds the signing keys.
fn private_folder(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| anyhow::anyhow!("cannot make the data folder {}: {error}", path.display()))
}
