//! The tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items for the entities")]

pub(crate) mod known_network;
pub(crate) mod one_time_token;
pub(crate) mod recovery_code;
pub(crate) mod refresh_token;
pub(crate) mod session;
pub(crate) mod signing_key;
pub(crate) mod throttle;
pub(crate) mod totp;
pub(crate) mod user;
pub(crate) mod user_token;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;

    #[tokio::test]
    async fn the_migrations_match_the_entities() {
        let tables = vec![
            table(user::Entity),
            table(session::Entity),
            table(refresh_token::Entity),
            table(user_token::Entity),
            table(signing_key::Entity),
            table(one_time_token::Entity),
            table(totp::Entity),
            table(recovery_code::Entity),
            table(throttle::Entity),
            table(known_network::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("accounts_", tables, crate::migrations::with_kernel, snapshots).await;
    }
}
