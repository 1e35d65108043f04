//! Checks of passwords.

use guildhall_accounts::{Removals, WeakPassword};
use guildhall_kernel::Roles;

use crate::harness::{Harness, accounts, caller, code, new_user};

#[tokio::test]
async fn django_hashes_are_accepted_and_upgraded() {
    let harness = accounts().await;
    for (name, hash) in [
        ("pbkdf2", "pbkdf2_sha256$1000000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M="),
        (
            "scrypt",
            "scrypt$16384$9nqhIP7kjjCSy7tIOUBiXG$8$5$IJJUD2bDYU4nFuhttq9YJx1dWZ4eDFud8Nvt+yFhDvEEniO9l7IY2WuGDe/EhyCnyktJloE8hWFb8wzyIA4R0w==",
        ),
        ("bcrypt", "bcrypt_sha256$$2b$12$2SePwGRFD25r0wu.KK7LLuk3dr.YLrTZ.Uid9LwSWWbxH9DjsYXdu"),
    ] {
        harness.register_user(name).await;
        harness.db.sql(&format!("UPDATE users SET password_hash = '{hash}' WHERE username = '{name}'")).await.unwrap();
        let stored = async || {
            harness.db.query_texts(&format!("SELECT password_hash FROM users WHERE username = '{name}'")).await
        };
        assert_eq!(code(harness.try_sign_in(name, "wrong").await), "invalid_credentials");
        assert_eq!(stored().await, [hash], "a wrong password changes nothing");
        assert!(harness.try_sign_in(name, "correct horse é").await.is_ok(), "{name}");
        assert!(stored().await[0].starts_with("$argon2id$"), "{name}");
        assert!(harness.try_sign_in(name, "correct horse é").await.is_ok(), "{name}");
    }
    harness.register_user("unusable").await;
    for hash in ["'!0Qe5SZujIvJYpFUUMBKvEpTTOQId3Jz5E7pb5poo'", "''", "NULL", "'md5$a$b'"] {
        harness.db.sql(&format!("UPDATE users SET password_hash = {hash} WHERE username = 'unusable'")).await.unwrap();
        assert_eq!(code(harness.try_sign_in("unusable", "").await), "invalid");
        assert_eq!(code(harness.try_sign_in("unusable", "x").await), "invalid_credentials");
        harness.db.sql("DELETE FROM accounts_throttle").await.unwrap();
    }
}

/// The shortest duration of a rejected sign-in, in milliseconds.
async fn shortest_rejection(harness: &Harness, name: &str) -> u128 {
    let mut times = Vec::new();
    for _ in 0..3 {
        let started = std::time::Instant::now();
        assert_eq!(code(harness.try_sign_in(name, "wrong").await), "invalid_credentials");
        times.push(started.elapsed().as_millis());
        harness.db.sql("DELETE FROM accounts_throttle").await.unwrap();
    }
    times.into_iter().min().unwrap()
}

#[tokio::test]
async fn every_rejection_takes_as_long_as_the_most_expensive_hash() {
    let harness = accounts().await;
    for name in ["normal", "legacy", "inactive"] {
        harness.register_user(name).await;
    }
    let staff = Roles { superuser: true, ..Roles::default() };
    let staff = harness.create_user(new_user("staff"), staff, WeakPassword::Reject).await.unwrap();
    let erased = harness.register_user("erased").await.user.id;
    harness.erase_user(&caller(&staff), erased).await.unwrap();
    harness.set_active("inactive", false).await.unwrap();
    let hash = "pbkdf2_sha256$1000000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=";
    harness.db.sql(&format!("UPDATE users SET password_hash = '{hash}' WHERE username = 'legacy'")).await.unwrap();
    let rejection_time = harness.calibrate().await.unwrap().as_millis();
    assert!(rejection_time > 50, "calibrated with the most expensive hash");
    for name in ["normal", "legacy", "inactive", "nobody", &format!("erased-{erased}")] {
        assert!(shortest_rejection(&harness, name).await >= rejection_time, "{name}");
    }
}
