//! How a page is shown to its reader: language, time zone, theme, and the parts of markup that all pages share.

mod amounts;
mod markup;

use std::{fmt::Display, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};
use chrono_tz::Tz;
use guildhall_kernel::{Error, Result, Timestamp};

use crate::{
    assets,
    browser::Browser,
    i18n::{Arg, Locale, best_of, shown},
    local_path::LocalPath,
    web::App,
};

/// The cookie with the chosen language.
pub(crate) const LANGUAGE: &str = "language";
/// The cookie with the time zone of the browser.
pub(crate) const ZONE: &str = "zone";
/// The cookie with the chosen theme.
pub(crate) const THEME: &str = "theme";
/// The cookie that says whether single keys are shortcuts: `off`.
pub(crate) const KEYS: &str = "keys";
/// The cookie with the key of a message that the next page shows once.
pub(crate) const FLASH: &str = "flash";

/// A colour theme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// The one of the browser's system.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::System, Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A number of things, as templates pass it: they borrow fields.
pub(crate) trait Count {
    /// The number.
    fn count(self) -> i64;
}

impl Count for i64 {
    fn count(self) -> i64 {
        self
    }
}

impl Count for u64 {
    fn count(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}

impl Count for usize {
    fn count(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}

impl<T: Count + Copy> Count for &T {
    fn count(self) -> i64 {
        (*self).count()
    }
}

/// A time, as templates pass it: they borrow fields.
pub(crate) trait Moment {
    /// The time.
    fn time(self) -> Timestamp;
}

impl Moment for Timestamp {
    fn time(self) -> Timestamp {
        self
    }
}

impl<T: Moment + Copy> Moment for &T {
    fn time(self) -> Timestamp {
        (*self).time()
    }
}

/// How a page is shown to its reader.
#[derive(Clone)]
pub(crate) struct View {
    /// The name of the service.
    pub(crate) service: Arc<str>,
    pub(crate) theme: Theme,
    /// Whether single keys are shortcuts.
    pub(crate) has_keys: bool,
    /// The path and query of the page.
    pub(crate) path: LocalPath,
    /// The page whose form or script has sent the request.
    sender: Option<LocalPath>,
    /// The CSRF token of its forms.
    pub(crate) csrf: String,
    locale: Locale,
    now: Timestamp,
    flash: Option<String>,
    /// The id of the element that a script wants to replace; `None` for a whole page.
    target: Option<String>,
}

#[expect(clippy::unused_self, reason = "templates call all methods on the view")]
impl View {
    /// How a page is shown to whoever has sent a request.
    pub(crate) fn of(parts: &Parts, app: &App) -> Result<Self> {
        let (headers, cookies) = (&parts.headers, app.cookies());
        let tags = || Locale::languages().map(|(tag, _)| tag);
        let chosen = cookies.get(headers, LANGUAGE).and_then(|tag| tags().find(|known| *known == tag));
        let zone = cookies.get(headers, ZONE).and_then(|name| name.parse::<Tz>().ok()).unwrap_or(Tz::UTC);
        let tag = chosen.or_else(|| best_of(headers, tags().collect::<Vec<_>>().into_iter())).unwrap_or_default();
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let target = header("hx-target").and_then(|target| Some(target.rsplit_once('#')?.1.to_owned()));
        Ok(Self {
            service: app.name.clone(),
            has_keys: cookies.get(headers, KEYS) != Some("off"),
            theme: cookies.get(headers, THEME).and_then(Theme::parse).unwrap_or_default(),
            // Only pages can be returned to.
            path: if parts.method == Method::GET { LocalPath::of(&parts.uri) } else { LocalPath::home() },
            sender: header("hx-current-url").or_else(|| header("referer")).and_then(LocalPath::of_url),
            csrf: Browser::of(parts)?.csrf_token().map(|token| token.to_string()).unwrap_or_default(),
            locale: Locale::new(tag, zone),
            now: app.clock.now(),
            flash: cookies.get(headers, FLASH).filter(|key| key.starts_with("flash-")).map(str::to_owned),
            target: target.filter(|_| header("hx-request-type") == Some("partial")),
        })
    }

    /// The same view on another page: a part of it that a script replaces after a form.
    #[must_use]
    pub(crate) fn on(&self, path: LocalPath) -> Self {
        Self { path, ..self.clone() }
    }

    /// The address of the page for signing in, which leads back to the page that the reader sees.
    pub(crate) fn sign_in_path(&self, method: &Method) -> String {
        let is_page = method.is_safe() && !self.is_partial();
        let path = if is_page { &self.path } else { self.sender.as_ref().unwrap_or(&self.path) };
        if *path == LocalPath::home() && method.is_safe() {
            return "/login/".to_owned();
        }
        // The script of the page keeps what was entered into the form.
        let typed = if method.is_safe() { "" } else { "&typed=1" };
        format!("/login/?next={}{typed}", path.encoded())
    }

    /// Whether a script wants only the element with this id.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.target.as_deref() == Some(id)
    }

    /// Whether a script wants only an element whose id begins like this.
    pub(crate) fn wants_in(&self, beginning: &str) -> bool {
        self.target.as_deref().is_some_and(|id| id.starts_with(beginning))
    }

    /// Whether the request was made by a script that replaces a part of the page.
    pub(crate) fn is_partial(&self) -> bool {
        self.target.is_some()
    }

    /// A text.
    pub(crate) fn t(&self, key: &str) -> String {
        self.locale.text(key, &[])
    }

    /// A text with a variable.
    pub(crate) fn t1(&self, key: &str, name: &str, value: impl Display) -> String {
        self.locale.text(key, &[(name, shown(&value))])
    }

    /// A text with the number `n`, which decides on its plural form.
    pub(crate) fn n(&self, key: &str, number: impl Count) -> String {
        self.locale.text(key, &[("n", Arg::Number(number.count()))])
    }

    /// A text with the number `n` and a variable.
    pub(crate) fn n1(&self, key: &str, number: impl Count, name: &str, value: impl Display) -> String {
        self.locale.text(key, &[("n", Arg::Number(number.count())), (name, shown(&value))])
    }

    /// The text for a key that may be missing.
    pub(crate) fn find(&self, key: &str) -> Option<String> {
        self.locale.find(key, &[])
    }

    /// The message of the previous page, if there is one.
    pub(crate) fn flash(&self) -> Option<String> {
        self.flash.as_deref().and_then(|key| self.find(key))
    }

    /// The language of the page.
    pub(crate) fn lang(&self) -> &'static str {
        self.locale.tag()
    }

    /// The languages that there are: their tags and their own names.
    pub(crate) fn languages(&self) -> Vec<(&'static str, &'static str)> {
        Locale::languages().collect()
    }

    /// The name of the time zone.
    pub(crate) fn zone(&self) -> &'static str {
        self.locale.zone().name()
    }

    /// A number with separated thousands.
    pub(crate) fn number(&self, number: impl Count) -> String {
        self.locale.number(number.count())
    }

    /// A number that waits for the reader, 99+ at most.
    pub(crate) fn badge(&self, number: impl Count) -> String {
        let number = number.count();
        if number > 99 { "99+".to_owned() } else { number.to_string() }
    }

    /// A time to wait: `45 seconds`, `5 minutes`, `2 hours`.
    pub(crate) fn wait(&self, seconds: u64) -> String {
        let (key, length) = match seconds {
            0..120 => ("wait-seconds", 1),
            120..7200 => ("wait-minutes", 60),
            _ => ("wait-hours", 3600),
        };
        self.n(key, seconds.div_ceil(length))
    }

    /// A size in bytes.
    pub(crate) fn size(&self, bytes: impl Count) -> String {
        self.locale.size(bytes.count())
    }

    /// A day: `today`, `11 March 2025`.
    pub(crate) fn day(&self, time: impl Moment) -> String {
        self.locale.day(time.time(), self.now)
    }

    /// A time as a field of a form holds it, in the time zone of the reader.
    pub(crate) fn field_time(&self, time: Timestamp) -> String {
        self.locale.field_time(time)
    }

    /// The time that a field of a form holds; `None` if it is none.
    pub(crate) fn read_time(&self, text: &str) -> Option<Timestamp> {
        self.locale.read_time(text)
    }

    /// Whether a time is today.
    pub(crate) fn is_today(&self, time: impl Moment) -> bool {
        self.locale.is_same_day(time.time(), self.now)
    }

    /// Whether two times are on the same day.
    pub(crate) fn is_same_day(&self, one: impl Moment, other: impl Moment) -> bool {
        self.locale.is_same_day(one.time(), other.time())
    }

    /// The day of the month and the short name of the month.
    pub(crate) fn day_and_month(&self, time: impl Moment) -> (String, String) {
        self.locale.day_and_month(time.time())
    }

    /// The URL of a style sheet, script or icon.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }
}

impl FromRequestParts<App> for View {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Self::of(parts, app)
    }
}
