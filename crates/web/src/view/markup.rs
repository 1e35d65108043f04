//! Parts of markup: icons, people, times, hidden fields.

use std::borrow::Borrow;

use guildhall_community::Group;
use guildhall_kernel::{Person, Timestamp};

use super::{Moment, View};
use crate::html::{Html, escape};

/// The number of tints for people and groups without a picture.
const TINTS: i64 = 8;

/// The first letters of the first and the last word of a name.
fn initials(name: &str) -> String {
    let mut words = name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let first = words.next();
    first.into_iter().chain(words.next_back()).collect()
}

/// The number of the tint of a person or group.
fn tint(id: i64) -> i64 {
    id.rem_euclid(TINTS) + 1
}

/// A face or mark: a picture, else initials on a tint.
fn face(class: &str, id: i64, name: &str, picture: Option<&str>, size: &str) -> Html {
    let tint = tint(id);
    let content = picture.map_or_else(
        || escape(&initials(name)),
        |url| {
            let url = escape(url);
            format!("<img src=\"{url}\" width=\"80\" height=\"80\" alt=\"\" loading=\"lazy\" decoding=\"async\">")
        },
    );
    Html::new(format!("<span class=\"{class} t{tint} {size}\" aria-hidden=\"true\">{content}</span>"))
}

#[expect(clippy::unused_self, reason = "templates call all methods on the view")]
impl View {
    /// An icon of the sprite.
    pub(crate) fn icon(&self, name: &str) -> Html {
        self.icon_of("icon", name)
    }

    /// A small icon of the sprite.
    pub(crate) fn small_icon(&self, name: &str) -> Html {
        self.icon_of("icon icon-sm", name)
    }

    /// An icon that points along the text.
    pub(crate) fn flip_icon(&self, name: &str) -> Html {
        self.icon_of("icon flip", name)
    }

    fn icon_of(&self, class: &str, name: &str) -> Html {
        let url = self.asset("icons.svg");
        Html::new(format!("<svg class=\"{class}\" aria-hidden=\"true\"><use href=\"{url}#{name}\"/></svg>"))
    }

    /// The face of a person. `size` is a class: `a-lg`.
    pub(crate) fn face(&self, person: &Person, size: &str) -> Html {
        face("avatar", person.id.0, &person.display_name, person.avatar_url.as_deref(), size)
    }

    /// The face of a person whose account may have been deleted.
    pub(crate) fn face_of(&self, person: Option<&Person>, size: &str) -> Html {
        match person {
            Some(person) => self.face(person, size),
            None => Html::new(format!(
                "<span class=\"avatar t8 {size}\" aria-hidden=\"true\">{}</span>",
                self.small_icon("user-round-x")
            )),
        }
    }

    /// The mark of a group: its picture if one was uploaded.
    pub(crate) fn mark(&self, group: &Group, size: &str) -> Html {
        let picture = group.image_urls.as_ref().map(|urls| urls.small.as_str());
        face("mark", group.id.0, &group.name, picture, size)
    }

    /// The number of the tint of a group, for what stands in for its banner.
    pub(crate) fn tint(&self, group: &Group) -> i64 {
        tint(group.id.0)
    }

    /// A mark with the initials of a name.
    pub(crate) fn initials_mark(&self, id: impl Borrow<i64>, name: &str, size: &str) -> Html {
        face("mark", *id.borrow(), name, None, size)
    }

    /// The name of a person with a link to their page.
    pub(crate) fn name(&self, person: &Person) -> Html {
        self.name_of(Some(person))
    }

    /// The name of a person whose account may have been deleted, with a link to their page.
    pub(crate) fn name_of(&self, person: Option<&Person>) -> Html {
        match person {
            Some(person) => Html::new(format!(
                "<a class=\"plain strong\" href=\"/people/{}/\"><bdi>{}</bdi></a>",
                person.id,
                escape(&person.display_name)
            )),
            None => Html::new(format!("<span class=\"strong\">{}</span>", escape(&self.t("deleted-user")))),
        }
    }

    /// The name of a person as text.
    pub(crate) fn plain_name(&self, person: Option<&Person>) -> String {
        person.map_or_else(|| self.t("deleted-user"), |person| person.display_name.clone())
    }

    /// How long ago a time is, with the exact one.
    pub(crate) fn ago(&self, time: impl Moment) -> Html {
        let time = time.time();
        self.shown_time(time, &self.locale.relative(time, self.now))
    }

    /// A time to the minute.
    pub(crate) fn at(&self, time: impl Moment) -> Html {
        let time = time.time();
        self.shown_time(time, &self.locale.exact(time))
    }

    /// A date, with the exact time.
    pub(crate) fn date_of(&self, time: impl Moment) -> Html {
        let time = time.time();
        self.shown_time(time, &self.locale.date(time))
    }

    /// A time of the day, with the exact one.
    pub(crate) fn clock(&self, time: impl Moment) -> Html {
        let time = time.time();
        self.shown_time(time, &self.locale.clock(time))
    }

    fn shown_time(&self, time: Timestamp, shown: &str) -> Html {
        let exact = escape(&self.locale.exact(time));
        Html::new(format!("<time datetime=\"{time}\" title=\"{exact}\">{}</time>", escape(shown)))
    }

    /// The hidden field with the CSRF token.
    pub(crate) fn csrf_field(&self) -> Html {
        Html::new(format!("<input type=\"hidden\" name=\"csrf_token\" value=\"{}\">", escape(&self.csrf)))
    }

    /// The hidden fields of a form that leads back to this page.
    pub(crate) fn form_fields(&self) -> Html {
        let next = escape(self.path.as_str());
        Html::new(format!("{}<input type=\"hidden\" name=\"next\" value=\"{next}\">", self.csrf_field()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_of_the_first_and_last_word() {
        assert_eq!(initials("João Pedro Albuquerque de Carvalho"), "JC");
        assert_eq!(initials("سميرة حداد"), "سح");
        assert_eq!(initials("anna"), "a");
        assert_eq!(initials("<b> (x)"), "bx");
        assert_eq!(initials("!!!"), "");
    }

    #[test]
    fn a_name_cannot_add_markup() {
        let html = face("avatar", 7, "<Ann", Some("/x\"><script>"), "a-lg").to_string();
        assert!(html.contains("/x&quot;&gt;&lt;script&gt;") && !html.contains("<script"), "{html}");
    }
}
