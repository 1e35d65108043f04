//! The tables of this crate for the admin panel, without hashes, tokens and keys.

use guildhall_kernel::admin::Model;

use crate::entity::{
    known_network, one_time_token, recovery_code, refresh_token, session, signing_key, throttle, totp, user,
    user_count, user_token,
};

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(user::Entity, "user")
            .without(&["password_hash", "public_id"])
            .moments(&["last_login"])
            .list(&["username", "display_name", "email", "is_active", "is_staff", "last_login", "created_at"])
            .search(&["username_key", "email_key", "display_name"])
            .filters(&["is_active", "is_teacher", "is_staff", "is_superuser", "created_at"])
            .guarded(),
        Model::new(session::Entity, "session")
            .list(&["user_id", "ip", "user_agent", "created_at", "last_seen_at", "revoked_at"])
            .filters(&["user_id", "second_factor", "created_at"]),
        Model::new(refresh_token::Entity, "refresh token of a session")
            .without(&["jti", "kid"])
            .list(&["session_id", "user_id", "generation", "issued_at", "expires_at", "consumed_at"])
            .filters(&["session_id", "user_id"]),
        Model::new(user_token::Entity, "user token")
            .without(&["token_sha256"])
            .list(&["name", "user_id", "prefix", "read_only", "last_used_at", "expires_at"])
            .search(&["name"])
            .filters(&["user_id", "read_only"]),
        Model::new(one_time_token::Entity, "one-time token")
            .without(&["token_sha256"])
            .list(&["purpose", "user_id", "email", "created_at", "expires_at", "used_at"])
            .filters(&["user_id", "purpose"]),
        Model::new(recovery_code::Entity, "recovery code")
            .without(&["code_sha256"])
            .list(&["user_id", "created_at", "used_at"])
            .filters(&["user_id"]),
        Model::new(totp::Entity, "second factor").without(&["secret", "last_step"]).list(&[
            "user_id",
            "created_at",
            "confirmed_at",
        ]),
        Model::new(known_network::Entity, "known network").list(&["user_id", "last_seen_at"]).filters(&["user_id"]),
        Model::new(throttle::Entity, "sign-in throttle").list(&["failures", "updated_at", "forgotten_at"]),
        Model::new(signing_key::Entity, "signing key")
            .without(&["seed", "public_key"])
            .list(&["kid", "is_active", "created_at", "retired_at", "verifies_until"])
            .moments(&["verifies_until"]),
        Model::new(user_count::Entity, "number of users").list(&["id", "active"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;
    use crate::migrations;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("accounts_", migrations::all, described("accounts_")).await;
        assert_tables_described("users", migrations::all, described("users")).await;
    }

    fn described(prefix: &str) -> Vec<Model> {
        admin().into_iter().filter(|model| model.table.starts_with(prefix)).collect()
    }
}
