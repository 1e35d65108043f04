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
pub(crate) mod user_count;
pub(crate) mod user_token;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};
    use sea_orm::{EntityName, IdenStatic, Set};

    use super::*;

    #[test]
    fn debug_output_contains_no_secrets() {
        let user = user::ActiveModel {
            password_hash: Set(Some(user::PasswordHash("$argon2id$secret".to_owned()))),
            ..Default::default()
        };
        let key = signing_key::ActiveModel { seed: Set(signing_key::Seed(vec![201; 32])), ..Default::default() };
        let totp = totp::ActiveModel { secret: Set(signing_key::Seed(vec![201; 20])), ..Default::default() };
        let text = format!("{user:?} {key:?} {totp:?}");
        assert!(text.contains("PasswordHash(…)") && text.contains("Seed(…)"), "{text}");
        assert!(!text.contains("argon2id") && !text.contains("201"), "{text}");
    }

    #[test]
    fn the_exported_names_are_those_of_the_entity() {
        assert_eq!(user::Entity.table_name(), crate::USERS);
        assert_eq!(user::Column::UsernameKey.as_str(), crate::USERNAME_KEY);
    }

    #[tokio::test]
    async fn the_migrations_match_the_entities() {
        let tables = vec![
            table(user::Entity),
            table(session::Entity),
            table(refresh_token::Entity),
            table(user_count::Entity),
            table(user_token::Entity),
            table(signing_key::Entity),
            table(one_time_token::Entity),
            table(totp::Entity),
            table(recovery_code::Entity),
            table(throttle::Entity),
            table(known_network::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("accounts_", tables, crate::migrations::all, snapshots).await;
    }
}
