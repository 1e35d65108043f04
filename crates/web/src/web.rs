//! What the pages need of their host.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use guildhall_accounts::AccountsState;
use guildhall_admin::AdminState;
use guildhall_chat::ChatState;
use guildhall_community::CommunityState;
use guildhall_deals::DealsState;
use guildhall_files::Files;
use guildhall_kernel::{Auth, Clock, Directory, PublicUrl};
use guildhall_messaging::MessagingState;
use guildhall_notifications::{NotificationsState, Unsubscribing};

use crate::{cookies::Cookies, setup_link::SetupLink};

/// The services that the pages use, and how the installation is called and reached.
pub struct Web {
    /// Looks up people.
    pub directory: Arc<dyn Directory>,
    /// Accounts and sessions.
    pub accounts: AccountsState,
    /// Groups and posts.
    pub community: CommunityState,
    /// Organizations with their clients and deals.
    pub deals: DealsState,
    /// Direct messages.
    pub messaging: MessagingState,
    /// Chat rooms.
    pub chat: ChatState,
    /// Notifications.
    pub notifications: NotificationsState,
    /// The admin panel.
    pub admin: AdminState,
    /// Stops emails about notifications.
    pub unsubscribing: Arc<dyn Unsubscribing>,
    /// The link to the page of the first start, while there is no superuser.
    pub setup: Option<SetupLink>,
    /// The display name of the service.
    pub name: Arc<str>,
    /// The URL of the service.
    pub url: PublicUrl,
    /// The source of the current time.
    pub clock: Clock,
    /// How long a browser keeps the cookie of a session after its tokens were last refreshed, in seconds.
    pub session_seconds: u64,
}

/// The state of the routes.
#[derive(Clone)]
pub(crate) struct App(Arc<Web>);

impl App {
    pub(crate) fn new(web: Web) -> Self {
        Self(Arc::new(web))
    }

    /// Reads and writes cookies.
    pub(crate) fn cookies(&self) -> Cookies {
        Cookies::new(&self.url)
    }
}

impl Deref for App {
    type Target = Web;

    fn deref(&self) -> &Web {
        &self.0
    }
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.accounts.auth.clone()
    }
}

impl FromRef<App> for Files {
    fn from_ref(app: &App) -> Self {
        app.community.files.clone()
    }
}

impl FromRef<App> for PublicUrl {
    fn from_ref(app: &App) -> Self {
        app.url.clone()
    }
}
