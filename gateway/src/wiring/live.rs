//! Streams, messages and notifications, which build on the other domains.

use std::sync::Arc;

use guildhall_accounts::{SqlAccounts, USERS};
use guildhall_community::SqlCommunity;
use guildhall_deals::SqlDeals;
use guildhall_kernel::{Auth, Clock, Db, Error, HostTables, Outbox, PublicUrl, mail::EmailBranding};
use guildhall_messaging::{MessagingStreams, SqlMessaging};
use guildhall_notifications::{
    SqlNotifications,
    push::{PushSender, WebPush},
};
use guildhall_platform::PublicHttp;
use guildhall_realtime::{OwnStream, SingleProcess, StreamHandler, Streams};

use crate::{
    group_streams::GroupAccess,
    notification_sources::{CommunitySource, DealsSource, MessagingSource},
    people_search::AccountSearch,
    push_client::PublicPushClient,
    settings::Settings,
};

/// The domains that they build on.
pub(super) struct Domains<'a> {
    pub(super) settings: &'a Settings,
    pub(super) db: &'a Db,
    pub(super) accounts: &'a SqlAccounts,
    pub(super) community: &'a SqlCommunity,
    pub(super) deals: &'a SqlDeals,
}

impl Domains<'_> {
    pub(super) fn streams(&self) -> Streams {
        let auth = Auth::new(self.accounts.clone());
        let groups = Arc::new(self.community.groups.clone());
        let handlers: Vec<Arc<dyn StreamHandler>> = vec![Arc::new(OwnStream), Arc::new(GroupAccess(groups))];
        Streams::new(self.db.clone(), Clock::system(), self.settings.realtime.clone(), auth, SingleProcess, handlers)
    }

    pub(super) fn messaging(&self, streams: &Streams) -> SqlMessaging {
        let host = guildhall_messaging::Host {
            clock: Clock::system(),
            directory: Arc::new(self.accounts.clone()),
            people: Arc::new(AccountSearch(self.accounts.clone())),
            streams: streams.clone(),
        };
        let settings = self.settings.messaging.clone();
        let settings = if self.settings.limits.enabled { settings } else { settings.without_limits() };
        let messaging = SqlMessaging::new(self.db.clone(), settings, host);
        streams.register(Arc::new(MessagingStreams::new(&messaging)));
        messaging
    }

    pub(super) async fn notifications(
        &self,
        streams: &Streams,
        messaging: &SqlMessaging,
        outbox: &Outbox,
        http: Option<Arc<PublicHttp>>,
        url: PublicUrl,
    ) -> anyhow::Result<SqlNotifications> {
        let push_sender: Option<Arc<dyn PushSender>> = match http {
            Some(http) => {
                let client = Arc::new(PublicPushClient(http));
                Some(Arc::new(WebPush::open(self.db, Clock::system(), client, url.join("/")).await?))
            }
            None => None,
        };
        let home = self.settings.accounts.home(&url)?;
        let host = guildhall_notifications::Host {
            clock: Clock::system(),
            tables: HostTables { users: USERS },
            directory: Arc::new(self.accounts.clone()),
            outbox: outbox.clone(),
            streams: streams.clone(),
            sources: vec![
                Arc::new(CommunitySource(self.community.clone())),
                Arc::new(DealsSource(self.deals.clone())),
                Arc::new(MessagingSource(messaging.clone())),
            ],
            push_sender,
            branding: EmailBranding { service: self.settings.server.name.clone(), home },
            url,
        };
        Ok(SqlNotifications::open(self.db.clone(), host).await.map_err(Error::from)?)
    }
}
