//! Money and calendar dates.

use guildhall_deals::{Currency, Day};

use super::View;
use crate::{
    html::{Html, escape},
    i18n::{Arg, shown},
};

/// The signs of common currencies; others are written with their codes.
const SIGNS: [(&str, &str); 4] = [("EUR", "€"), ("USD", "$"), ("GBP", "£"), ("JPY", "¥")];
/// The number of characters of a month like `2025-09`.
const MONTH: usize = 7;

impl View {
    /// An amount with the sign of its currency and all its digits.
    pub(crate) fn money(&self, amount: &str, currency: &Currency) -> Html {
        self.written(amount, currency, true)
    }

    /// An amount in whole units of its currency.
    pub(crate) fn round_money(&self, amount: &str, currency: &Currency) -> Html {
        self.written(amount, currency, false)
    }

    fn written(&self, amount: &str, currency: &Currency, is_exact: bool) -> Html {
        let (sign, digits) = amount.strip_prefix('-').map_or(("", amount), |digits| ("−", digits));
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
        let mut text = whole.parse::<i64>().map_or_else(|_| whole.to_owned(), |whole| self.locale.number(whole));
        if is_exact && !rest.is_empty() {
            text.push_str(&self.t("decimal-sign"));
            text.push_str(rest);
        }
        let code = currency.code();
        let symbol = SIGNS
            .iter()
            .find(|(known, _)| *known == code)
            .map_or_else(|| format!("{code}\u{a0}"), |(_, symbol)| (*symbol).to_owned());
        let args = [("symbol", shown(&symbol)), ("amount", shown(&text))];
        let text = self.locale.text("money", &args);
        Html::new(format!("<bdi dir=\"ltr\" class=\"num\">{sign}{}</bdi>", escape(&text)))
    }

    /// A calendar date: `11 Mar 2025`.
    pub(crate) fn date(&self, day: &Day) -> Html {
        let text = day.as_str();
        Html::new(format!("<time datetime=\"{text}\">{}</time>", escape(&self.date_text(text))))
    }

    /// A month like `2025-09`: `Sep 2025`.
    pub(crate) fn month(&self, month: &str) -> String {
        self.date_text(month)
    }

    /// The short name of a month like `2025-09`: `Sep`.
    pub(crate) fn month_name(&self, month: &str) -> String {
        let number = month.get(5..MONTH).and_then(|number| number.parse::<u8>().ok());
        number.map_or_else(|| month.to_owned(), |number| self.t(&format!("month-{number}")))
    }

    fn date_text(&self, text: &str) -> String {
        let year = text.get(..4).unwrap_or(text);
        let month = self.month_name(text);
        let date = match text.get(MONTH + 1..).and_then(|day| day.parse::<u8>().ok()) {
            Some(day) => self.locale.text("date-short", &[("day", shown(&day)), ("month", shown(&month))]),
            None => month,
        };
        self.locale.text("date-with-year", &[("date", Arg::Text(date.into())), ("year", shown(&year))])
    }
}
