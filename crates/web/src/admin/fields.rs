//! The values of columns.

use guildhall_admin::{Cell, Reference};
use guildhall_kernel::{
    Timestamp,
    admin::{Column, Kind},
};

use super::frame::row_url;
use crate::{
    html::{Html, escape},
    view::View,
};

/// How a value is shown.
pub(super) fn shown(view: &View, column: &Column, cell: &Cell) -> Html {
    let Some(text) = &cell.text else { return Html::new("<span class=\"quiet\">–</span>") };
    if let Some(Reference { table, key, label }) = &cell.reference {
        let url = escape(&row_url(table, key));
        return Html::new(format!("<a class=\"plain second\" href=\"{url}\"><bdi>{}</bdi></a>", escape(label)));
    }
    match (column.kind, text.parse::<i64>()) {
        (Kind::Flag, _) if text == "true" => Html::new(format!(
            "<span class=\"success-text\">{}<span class=\"sr\">{}</span></span>",
            view.small_icon("check"),
            escape(&view.t("admin-yes"))
        )),
        (Kind::Flag, _) => Html::new(format!(
            "<span class=\"quiet\" aria-hidden=\"true\">–</span><span class=\"sr\">{}</span>",
            escape(&view.t("admin-no"))
        )),
        (Kind::Moment, Ok(micros)) => view.at(Timestamp::from_unix_micros(micros)),
        (Kind::Number, Ok(number)) => Html::new(format!("<span class=\"num\">{number}</span>")),
        (Kind::Bytes, Ok(size)) => Html::new(escape(&view.size(size))),
        _ => Html::new(format!("<bdi>{}</bdi>", escape(text))),
    }
}

/// Whether the values of a column are numbers, which are aligned at their ends.
pub(super) fn is_number(column: &Column) -> bool {
    matches!(column.kind, Kind::Number)
}

/// Whether a text needs several lines.
pub(super) fn is_long(text: &str) -> bool {
    text.len() > 80 || text.contains('\n')
}
