//! Streams, messages and notifications, which build on the other domains.

use std::sync::Arc;

use guildhall_accounts::{SqlAccounts, USERS};
use guildhall_chat::{ChatStreams, SqlChat};
use guildhall_community::SqlCommunity;
use guildhall_deals::SqlDeals;
use guildhall_files::Files;
use guildhall_kernel::{
    Auth, Clock, Db, Error, HostTables, Outbox, PublicUrl, cipher::KeyRing, http::PageFetcher, mail::EmailBranding,
};
use guildhall_messaging::{MessagingStreams, SqlMessaging};
use guildhall_notifications::{
    Source, SqlNotifications,
    push::{PushSender, WebPush},
};
use guildhall_platform::PublicHttp;
use guildhall_realtime::{Bus, StreamHandler, Streams};

use crate::{
    board_streams::BoardAccess,
    group_streams::GroupAccess,
    mounts,
    notification_sources::{ChatSource, CommunitySource, DealsSource, MessagingSource},
    people_search::AccountSearch,
    push_client::PublicPushClient,
    settings::Settings,
};

/// The domains that they build on.
pub(super) struct Domains<'a> {
    pub(super) settings: &'a Settings,
    pub(super) clock: &'a Clock,
    pub(super) db: &'a Db,
    pub(super) accounts: &'a SqlAccounts,
    pub(super) community: &'a SqlCommunity,
    pub(super) deals: &'a SqlDeals,
    /// What messages and events are encrypted with.
    pub(super) keys: &'a KeyRing,
}

impl Domains<'_> {
    pub(super) fn streams(&self, bus: Arc<dyn Bus>) -> Streams {
        let auth = Auth::new(self.accounts.clone());
        let groups = Arc::new(self.community.groups.clone());
        let boards = BoardAccess(self.deals.clone());
        let handlers: Vec<Arc<dyn StreamHandler>> = vec![Arc::new(GroupAccess(groups)), Arc::new(boards)];
        let (db, settings) = (self.db.clone(), self.settings.realtime.clone());
        Streams::encrypted(db, self.clock.clone(), settings, auth, bus, handlers, self.keys.clone())
    }

    pub(super) fn messaging(
        &self,
        streams: &Streams,
        files: Files,
        http: Option<Arc<PublicHttp>>,
        url: &PublicUrl,
    ) -> anyhow::Result<SqlMessaging> {
        let host = guildhall_messaging::Host {
            clock: self.clock.clone(),
            directory: Arc::new(self.accounts.clone()),
            people: Arc::new(AccountSearch(self.accounts.clone())),
            streams: streams.clone(),
            files,
            page_fetcher: http.map(|http| http as Arc<dyn PageFetcher>),
            mount: url.join(mounts::MESSAGING).parse()?,
            keys: self.keys.clone(),
        };
        let settings = self.settings.messaging.clone();
        let settings = if self.settings.limits.enabled { settings } else { settings.without_limits() };
        let messaging = SqlMessaging::new(self.db.clone(), settings, host);
        streams.register(Arc::new(MessagingStreams::new(&messaging)));
        Ok(messaging)
    }

    pub(super) fn chat(&self, streams: &Streams, files: Files, url: &PublicUrl) -> anyhow::Result<SqlChat> {
        let host = guildhall_chat::Host {
            clock: self.clock.clone(),
            directory: Arc::new(self.accounts.clone()),
            users: Arc::new(AccountSearch(self.accounts.clone())),
            streams: streams.clone(),
            files,
            mount: url.join(mounts::CHAT).parse()?,
        };
        let settings = self.settings.chat.clone();
        let settings = if self.settings.limits.enabled { settings } else { settings.without_limits() };
        let chat = SqlChat::new(self.db.clone(), settings, host);
        streams.register(Arc::new(ChatStreams::new(&chat)));
        Ok(chat)
    }

    pub(super) async fn notifications(
        &self,
        streams: &Streams,
        (messaging, chat): (&SqlMessaging, &SqlChat),
        outbox: &Outbox,
        http: Option<Arc<PublicHttp>>,
        url: PublicUrl,
    ) -> anyhow::Result<SqlNotifications> {
        let push_sender: Option<Arc<dyn PushSender>> = match http {
            Some(http) => {
                let client = Arc::new(PublicPushClient(http));
                Some(Arc::new(WebPush::open(self.db, self.clock.clone(), client, url.join("/")).await?))
            }
            None => None,
        };
        let home = self.settings.accounts.home(&url)?;
        let sources: Vec<Arc<dyn Source>> = vec![
            Arc::new(CommunitySource(self.community.clone())),
            Arc::new(DealsSource(self.deals.clone())),
            Arc::new(MessagingSource(messaging.clone())),
            Arc::new(ChatSource(chat.clone())),
        ];
        let host = guildhall_notifications::Host {
            clock: self.clock.clone(),
            tables: HostTables { users: USERS },
            directory: Arc::new(self.accounts.clone()),
            outbox: outbox.clone(),
            streams: streams.clone(),
            sources: sources.into(),
            push_sender,
            branding: EmailBranding { service: self.settings.server.name.clone(), home },
            url,
        };
        let notifications = SqlNotifications::open(self.db.clone(), host).await.map_err(Error::from)?;
        streams.register(Arc::new(notifications.own_streams()));
        Ok(notifications)
    }
}
