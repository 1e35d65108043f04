//! Pages of accounts: signing in, the own account, other people.

mod blocked;
mod data;
mod emails;
mod invitation;
mod passwords;
mod people;
mod profile;
mod registration;
mod security;
mod setup;
mod sign_in;
mod tokens;

use axum::{
    Router,
    routing::{get, post},
};

use crate::web::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/login/", get(sign_in::sign_in_form).post(sign_in::sign_in))
        .route("/login/code/", post(sign_in::enter_code))
        .route("/logout/", post(sign_in::sign_out))
        .route("/register/", get(registration::registration_form).post(registration::register))
        .route("/password/forgot/", get(passwords::forgot_form).post(passwords::request_reset))
        .route("/password/reset/", get(passwords::reset_form).post(passwords::reset))
        .route("/email/verify/", get(emails::confirm_form).post(emails::confirm))
        .route("/invites/{token}/", get(invitation::invitation).post(invitation::accept))
        .route("/setup/{token}/", get(setup::setup_form).post(setup::set_up))
        .route("/account/", get(profile::profile).post(profile::change_profile))
        .route("/account/picture/", post(profile::change_picture))
        .route("/account/security/", get(security::security))
        .route("/account/password/", post(security::change_password))
        .route("/account/email/", post(security::change_email))
        .route("/account/email/resend/", post(security::resend_verification))
        .route("/account/second-factor/", post(security::confirm_second_factor))
        .route("/account/second-factor/start/", post(security::start_second_factor))
        .route("/account/second-factor/remove/", post(security::remove_second_factor))
        .route("/account/sessions/end-others/", post(security::end_other_sessions))
        .route("/account/sessions/{id}/end/", post(security::end_session))
        .route("/account/tokens/", get(tokens::tokens).post(tokens::create_token))
        .route("/account/tokens/{id}/revoke/", post(tokens::revoke_token))
        .route("/account/blocked/", get(blocked::blocked))
        .route("/account/data/", get(data::data))
        .route("/account/data/export/", post(data::export))
        .route("/account/data/erase/", post(data::erase))
        .route("/people/", get(people::people))
        .route("/people/{id}/", get(people::person))
        .route("/people/{id}/follow/", post(people::follow))
        .route("/people/{id}/unfollow/", post(people::unfollow))
        .route("/people/{id}/block/", post(blocked::block))
        .route("/people/{id}/unblock/", post(blocked::unblock))
}
