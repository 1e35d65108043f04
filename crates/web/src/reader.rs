//! The signed-in reader of a page, and the frame around it.

use std::{borrow::Borrow, ops::Deref};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use guildhall_accounts::Account;
use guildhall_community::{Group, GroupFilter};
use guildhall_kernel::{Caller, Error, Kind, PageQuery, Person, Result, UserId};

use crate::{
    browser::Browser,
    session::{Session, check_origin},
    view::View,
    web::App,
};

/// How many groups the sidebar lists.
const GROUPS: u64 = 8;

/// A place of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// No place of the navigation.
    Elsewhere,
    Search,
    Home,
    Groups,
    Messages,
    Deals,
    Rooms,
    Notifications,
    More,
}

/// The signed-in reader of a page. Others are led to the page for signing in.
pub(crate) struct Reader {
    pub(crate) caller: Caller,
    pub(crate) view: View,
}

/// The response to somebody who is not signed in, or whose session has ended.
pub(crate) struct NotSignedIn {
    error: Error,
    /// Whether the browser should forget the session.
    ended: Option<App>,
}

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        if let Some(app) = self.ended
            && let Some(cookie) = Session::end_cookie(app.cookies())
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Marks a request whose session was found valid.
#[derive(Clone, Copy)]
pub(crate) struct IsSignedIn;

impl FromRequestParts<App> for Reader {
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, NotSignedIn> {
        let refused = |error| NotSignedIn { error, ended: None };
        let browser = Browser::of(parts).map_err(refused)?;
        let view = View::of(parts, app).map_err(refused)?;
        let not_authenticated =
            || Error::new(Kind::Unauthenticated, "not_authenticated", "Authentication credentials were not provided.");
        let session = browser.session.ok_or_else(|| refused(not_authenticated()))?;
        if !parts.method.is_safe() {
            check_origin(&parts.headers, &app.url).map_err(refused)?;
        }
        // The same extractor as in the API: it limits how often one user writes.
        let bearer = format!("Bearer {}", session.access).parse().map_err(|_| refused(not_authenticated()))?;
        parts.headers.insert(header::AUTHORIZATION, bearer);
        let caller = <Caller as FromRequestParts<App>>::from_request_parts(parts, app).await;
        parts.headers.remove(header::AUTHORIZATION);
        let caller = caller.map_err(|error| {
            let ended = (error.kind() == Kind::Unauthenticated).then(|| app.clone());
            NotSignedIn { error, ended }
        })?;
        parts.extensions.insert(IsSignedIn);
        Ok(Self { caller, view })
    }
}

impl Reader {
    /// The active user with a user name, which may begin with an `@`, for the field in which it was typed.
    ///
    /// # Errors
    /// At the field, if there is none.
    pub(crate) async fn named(&self, app: &App, field: &str, name: &str) -> Result<Person> {
        let name = name.trim();
        let name = name.strip_prefix('@').unwrap_or(name).to_owned();
        let found = app.directory.named(&[name]).await?.pop();
        found.ok_or_else(|| Error::field(field, self.view.t("field-nobody")))
    }

    /// The id of the reader.
    pub(crate) fn id(&self) -> UserId {
        self.caller.user
    }

    /// The frame of a page at a place of the navigation. A part of a page has no navigation: then only the reader is
    /// loaded.
    pub(crate) async fn frame(&self, app: &App, place: Place) -> Result<Frame> {
        let (caller, view, is_staff) = (&self.caller, self.view.clone(), self.caller.roles.is_staff());
        if view.is_partial() {
            let me = app.accounts.accounts.me(caller).await.map_err(Error::from)?;
            let (groups, unread_messages, unread_notifications) = (Vec::new(), 0, 0);
            return Ok(Frame { view, me, groups, is_staff, unread_messages, unread_notifications, place });
        }
        let filter = GroupFilter { joined: Some(true), ..GroupFilter::default() };
        let me = async { app.accounts.accounts.me(caller).await.map_err(Error::from) };
        let groups = app.community.groups.groups(Some(*caller), filter, PageQuery::new(1, GROUPS));
        let groups = async { groups.await.map_err(Error::from) };
        let messages = async { app.messaging.reading.unread_count(caller).await.map_err(Error::from) };
        let notifications = app.notifications.notifications.unread_notifications(caller);
        let notifications = async { notifications.await.map_err(Error::from) };
        let (me, groups, messages, notifications) = tokio::try_join!(me, groups, messages, notifications)?;
        Ok(Frame {
            view,
            me,
            groups: groups.results,
            is_staff,
            unread_messages: messages,
            unread_notifications: notifications.unread_count,
            place,
        })
    }
}

/// What the frame around a page shows: where the reader is, who they are, and what waits for them.
pub(crate) struct Frame {
    view: View,
    pub(crate) me: Account,
    pub(crate) groups: Vec<Group>,
    /// Whether the reader may see the admin panel.
    pub(crate) is_staff: bool,
    pub(crate) unread_messages: i64,
    pub(crate) unread_notifications: i64,
    place: Place,
}

impl Frame {
    fn current(&self, place: Place) -> &'static str {
        if self.place == place { " aria-current=\"page\"" } else { "" }
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_search(&self) -> &'static str {
        self.current(Place::Search)
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_home(&self) -> &'static str {
        self.current(Place::Home)
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_groups(&self) -> &'static str {
        self.current(Place::Groups)
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_messages(&self) -> &'static str {
        self.current(Place::Messages)
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_rooms(&self) -> &'static str {
        self.current(Place::Rooms)
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_deals(&self) -> &'static str {
        self.current(Place::Deals)
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_notifications(&self) -> &'static str {
        self.current(Place::Notifications)
    }

    /// The attribute that marks the current place of the navigation.
    pub(crate) fn at_more(&self) -> &'static str {
        self.current(Place::More)
    }

    /// The attribute that marks the group whose page this is.
    pub(crate) fn at_group(&self, group: &Group) -> &'static str {
        let is_current = self.view.path.as_str().starts_with(&format!("/groups/{}/", group.id));
        if is_current { " aria-current=\"page\"" } else { "" }
    }

    /// Whether a person is the reader.
    pub(crate) fn is_me(&self, id: impl Borrow<UserId>) -> bool {
        self.me.user.id == *id.borrow()
    }

    /// The reader as a person.
    pub(crate) fn my_person(&self) -> Person {
        self.me.user.clone().into()
    }
}

impl Deref for Frame {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}
