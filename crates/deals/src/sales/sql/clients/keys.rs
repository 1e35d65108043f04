//! The columns of a client for search and comparison, which are derived from others.

use guildhall_kernel::{mail::address_key, text};

use crate::{entity::client, sales::sql::search_text};

/// The digits of a phone number, to compare numbers in any notation; `None` if there are fewer than five.
fn phone_key(phone: &str) -> Option<String> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= 5).then_some(digits)
}

/// The email address, to compare it in any spelling; `None` if there is none.
pub(crate) fn email_key(email: &str) -> Option<String> {
    let email = email.trim();
    (!email.is_empty()).then(|| address_key(email))
}

/// Sets the derived columns.
pub(crate) fn derive(row: &mut client::Model) {
    row.name_key = text::fold(&row.name);
    row.email_key = email_key(&row.email);
    row.phone_key = phone_key(&row.phone);
    row.search_text = search_text::of_client(row);
}
