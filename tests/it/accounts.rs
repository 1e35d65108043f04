//! Accounts over HTTP: emails, passwords, sessions, second factor, tokens, removal.

use async_trait::async_trait;
use guildhall_kernel::{
    Roles, Timestamp,
    mail::{DeliveryError, Mail, Mailer},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use totp_rs::{Builder, Secret};

use crate::server::{PASSWORD, Response, TestServer, bearer};

/// Collects the emails.
#[derive(Default)]
struct TestMailer(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for TestMailer {
    async fn send(&self, _: i64, mail: &Mail) -> Result<(), DeliveryError> {
        self.0.lock().await.push(mail.clone());
        Ok(())
    }

    async fn check(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

/// Delivers the outbox. Returns the token in the newest email.
async fn newest_token(server: &TestServer) -> String {
    let mailer = TestMailer::default();
    server.server.services().outbox.deliver_emails(&mailer).await.unwrap();
    let emails = mailer.0.into_inner();
    let email = emails.last().unwrap();
    assert!(email.text.contains("http://127.0.0.1"), "{}", email.text);
    email.text.split("?token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn totp_code(secret: &str, ahead: u64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    totp.generate(u64::try_from(Timestamp::now().unix_seconds()).unwrap() + ahead).to_string()
}

fn status_and_code(response: &Response) -> (u16, String) {
    (response.status.as_u16(), response.code())
}

async fn delete_with(server: &TestServer, path: &str, who: &str, body: Value) -> Response {
    server.send(server.request(Method::DELETE, path).header("authorization", who).json(&body)).await
}

#[tokio::test]
async fn account_lifecycle() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let verify = json!({"token": newest_token(&server).await});
    assert_eq!(server.post("/api/auth/email/verify/", "", verify.clone()).await.status, 204);
    let again = server.post("/api/auth/email/verify/", "", verify).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["errors"]["token"][0]),
        (400, &json!("Invalid or expired token."))
    );
    assert_eq!(server.get("/api/auth/me/", &anna).await.json()["email_verified"], true);

    // A forgotten password.
    for email in ["anna@example.org", "nobody@example.org"] {
        assert_eq!(server.post("/api/auth/password/reset/", "", json!({"email": email})).await.status, 204);
    }
    assert_eq!(server.post("/api/auth/password/reset/", "", json!({"email": "x"})).await.status, 400);
    let reset = json!({"token": newest_token(&server).await, "new_password": "another horse é"});
    assert_eq!(server.post("/api/auth/password/reset/confirm/", "", reset).await.status, 204);
    assert_eq!(server.get("/api/auth/me/", &anna).await.status, 401);

    // Sign in by email address, and change back to the old password.
    let body = json!({"username": "anna@example.org", "password": "another horse é"});
    let anna = bearer(&server.post("/api/auth/login/", "", body).await.json());
    let change = json!({"current_password": "another horse é", "new_password": PASSWORD});
    let changed = server.post("/api/auth/password/change/", &anna, change.clone()).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["token_type"]), (200, &json!("Bearer")));
    assert_eq!(server.get("/api/auth/me/", &anna).await.status, 401, "all other sessions have ended");
    let anna = bearer(&changed.json());
    let wrong = server.post("/api/auth/password/change/", &anna, change).await;
    assert_eq!((wrong.status.as_u16(), wrong.json()["errors"]["current_password"].is_array()), (400, true));

    // Change the email address.
    let change = json!({"email": "anna@new.example.org", "password": PASSWORD});
    assert_eq!(server.post("/api/auth/email/change/", &anna, change).await.status, 202);
    assert_eq!(server.get("/api/auth/me/", &anna).await.json()["email"], "anna@example.org");

    // Sessions and tickets.
    let other = server.sign_in("anna").await;
    let sessions = server.get("/api/auth/sessions/", &anna).await.json();
    let sessions = sessions["results"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(false), &json!(true)));
    assert_eq!(server.delete(&format!("/api/auth/sessions/{}/", sessions[0]["id"]), &anna).await.status, 204);
    assert_eq!(server.get("/api/auth/me/", &bearer(&other)).await.status, 401);
    let ticket = server.post("/api/auth/ws-ticket/", &anna, json!({})).await;
    assert_eq!((ticket.status.as_u16(), &ticket.json()["expires_in"]), (200, &json!(30)));
    assert_eq!(ticket.headers["cache-control"], "no-store");

    // Export and deletion.
    let export = server.get("/api/auth/me/export/", &anna).await.json();
    assert_eq!((&export["account"]["username"], export["community"]["groups"].is_array()), (&json!("anna"), true));
    let refused = delete_with(&server, "/api/auth/me/", &anna, json!({"password": "wrong"})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(delete_with(&server, "/api/auth/me/", &anna, json!({"password": PASSWORD})).await.status, 204);
    assert_eq!(server.get("/api/auth/me/", &anna).await.status, 401);
    assert_eq!(server.row_counts().await["users"], 0);
}

#[tokio::test]
async fn the_page_of_an_email_link_confirms_the_address() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let token = newest_token(&server).await;
    let page = server.send(server.request(Method::GET, &format!("/email/verify/?token={token}"))).await;
    assert!(page.status == 200 && page.text.contains("Confirm the address"), "{}", page.text);
    let cookie = page.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (_, csrf_token) = page.text.split_once("name=\"csrf_token\" value=\"").unwrap();
    let csrf_token = csrf_token.split('"').next().unwrap();
    let form = format!("token={token}&csrf_token={csrf_token}");
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
    assert_eq!(page.headers["referrer-policy"], "same-origin", "forms lead back to their pages");
    assert_eq!(server.get("/api/auth/me/", &anna).await.headers["referrer-policy"], "no-referrer");
    assert_eq!(
        server.get("/api/auth/me/", &anna).await.json()["email_verified"],
        false,
        "not without submitting the form"
    );
    let submit = async || {
        let request = server.request(Method::POST, "/email/verify/").header("cookie", &cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        server.send(request.body(form.clone())).await
    };
    let submitted = submit().await;
    assert!(submitted.status == 200 && submitted.text.contains("Your address is confirmed"), "{}", submitted.text);
    assert_eq!(server.get("/api/auth/me/", &anna).await.json()["email_verified"], true);
    let again = submit().await;
    assert!(again.status == 400 && again.text.contains("no longer works"), "{}", again.text);
    let style = page.text.split('"').find(|part| part.ends_with("/app.css")).unwrap();
    assert_eq!(server.get(style, "").await.headers["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn second_factor_lifecycle() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let setup = server.post("/api/auth/totp/", &anna, json!({})).await.json();
    let secret = setup["secret"].as_str().unwrap();
    assert!(setup["otpauth_url"].as_str().unwrap().starts_with("otpauth://totp/Guildhall:anna"));
    let codes = server.post("/api/auth/totp/confirm/", &anna, json!({"code": totp_code(secret, 0)})).await.json();
    let codes = codes["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);

    let body = json!({"username": "anna", "password": PASSWORD});
    let first = server.post("/api/auth/login/", "", body.clone()).await;
    assert_eq!(status_and_code(&first), (401, "mfa_required".to_owned()));
    assert_eq!(first.json()["methods"], json!(["totp", "recovery_code"]));
    assert_eq!(status_and_code(&server.post("/api/auth/token/", "", body).await), (401, "mfa_required".to_owned()));
    let second = |code: &str| json!({"mfa_token": first.json()["mfa_token"], "code": code});
    let wrong = server.post("/api/auth/login/mfa/", "", second("123")).await;
    assert_eq!((wrong.status.as_u16(), wrong.json()["errors"]["code"].is_array()), (400, true));
    let used = server.post("/api/auth/login/mfa/", "", second(&totp_code(secret, 0))).await;
    assert_eq!(used.status, 400, "the code was used to confirm the setup");
    let signed_in = server.post("/api/auth/login/mfa/", "", second(&totp_code(secret, 30))).await;
    assert_eq!((signed_in.status.as_u16(), &signed_in.json()["user"]["username"]), (200, &json!("anna")));
    let anna = bearer(&signed_in.json());
    assert_eq!(delete_with(&server, "/api/auth/totp/", &anna, json!({"password": PASSWORD})).await.status, 204);
    server.sign_in("anna").await;
}

#[tokio::test]
async fn a_read_only_token_cannot_write() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let new = json!({"name": "reader", "scopes": ["read"], "expires_in_days": 7});
    let issued = server.post("/api/auth/tokens/", &anna, new).await;
    assert_eq!((issued.status.as_u16(), &issued.json()["scopes"]), (201, &json!(["read"])));
    let token = issued.json()["token"].as_str().unwrap().to_owned();
    let reader = format!("Token {token}");
    assert_eq!(server.get("/api/auth/me/", &reader).await.status, 200);
    let refused = server.post("/api/community/groups/", &reader, json!({"name": "Readers"})).await;
    assert_eq!(status_and_code(&refused), (403, "insufficient_scope".to_owned()));
    let listed = server.get("/api/auth/tokens/", &anna).await;
    assert!(!listed.text.contains(&token));
    let listed = &listed.json()["results"][0];
    assert_eq!(listed["last4"], token[token.len() - 4..]);
    assert!(listed.get("token").is_none() && listed.get("token_sha256").is_none());
}

#[tokio::test]
async fn password_guessing_is_throttled_by_the_forwarded_address() {
    let server = TestServer::start_with(&[("GUILDHALL__SERVER__TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    server.sign_up("anna").await;
    let sign_in = async |ip: &str, password: &str| {
        let request = server.request(Method::POST, "/api/auth/login/").header("x-forwarded-for", ip);
        server.send(request.json(&json!({"username": "anna", "password": password}))).await
    };
    for _ in 0..5 {
        assert_eq!(
            status_and_code(&sign_in("1.1.1.1, 203.0.113.9", "wrong").await),
            (401, "invalid_credentials".to_owned())
        );
    }
    let refused = sign_in("9.9.9.9, 203.0.113.9", PASSWORD).await;
    assert_eq!(status_and_code(&refused), (429, "throttled".to_owned()));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(sign_in("198.51.100.7", PASSWORD).await.status, 200, "another network is not throttled");

    let unlimited = TestServer::start_with(&[("GUILDHALL__LIMITS__ENABLED", "false")]).await;
    unlimited.sign_up("anna").await;
    for _ in 0..40 {
        let body = json!({"username": "anna", "password": "wrong"});
        assert_eq!(unlimited.post("/api/auth/login/", "", body).await.status, 401);
    }
}

#[tokio::test]
async fn the_audit_log_records_actor_origin_and_request() {
    let server = TestServer::start().await;
    let staff = bearer(&server.sign_up_with_roles("staff", Roles { staff: true, ..Roles::default() }).await);
    let anna = server.sign_up("anna").await["user"]["id"].as_i64().unwrap();
    let request = server.request(Method::PATCH, &format!("/api/admin/users/{anna}/")).header("authorization", &staff);
    let request = request.header("x-request-id", "the-request").header("user-agent", "Panel/1");
    let changed = server.send(request.json(&json!({"is_active": false}))).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["is_active"]), (200, &json!(false)));
    let sql = "SELECT action, outcome, actor_id, subject_id, ip, user_agent, request_id, detail \
               FROM kernel_audit_event ORDER BY id DESC LIMIT 1";
    let row = server.query_one(sql).await;
    let text = |column| row.try_get_by_index::<String>(column).unwrap();
    assert_eq!((text(0).as_str(), text(1).as_str()), ("accounts.change_account", "done"));
    assert_eq!(row.try_get_by_index::<i64>(3).unwrap(), anna);
    assert_eq!([text(4), text(5), text(6)], ["127.0.0.1", "Panel/1", "the-request"]);
    assert_eq!(text(7), r#"{"is_active":false}"#);
}

#[tokio::test]
async fn groups_of_a_removed_user_pass_to_the_oldest_moderator_or_the_successor() {
    let server = TestServer::start().await;
    let staff = bearer(&server.sign_up_with_roles("staff", Roles { staff: true, ..Roles::default() }).await);
    let mut ids = Vec::new();
    for name in ["anna", "berta", "carla", "dora"] {
        ids.push(server.sign_up(name).await["user"]["id"].as_i64().unwrap());
    }
    let anna = bearer(&server.sign_in("anna").await);
    let mut groups = Vec::new();
    for name in ["First", "Second", "Alone"] {
        let created = server.post("/api/community/groups/", &anna, json!({"name": name})).await.json();
        groups.push(created["id"].as_i64().unwrap());
    }
    let [anna_id, berta, carla, dora] = ids[..] else { panic!() };
    for (group, user, role, joined) in
        [(groups[0], berta, "member", 1), (groups[0], carla, "moderator", 2), (groups[1], berta, "member", 1)]
    {
        server
            .sql(&format!(
                "INSERT INTO community_membership (group_id, user_id, role, joined_at) \
                 VALUES ({group}, {user}, '{role}', {joined})"
            ))
            .await;
    }
    let owner = async |group: i64| {
        let sql = "SELECT user_id FROM community_membership WHERE role = 'owner' AND group_id = ";
        let row = server.query(&format!("{sql}{group}")).await;
        row.first().map(|row| row.try_get_by_index::<i64>(0).unwrap())
    };
    assert_eq!(server.delete(&format!("/api/users/{anna_id}/"), &staff).await.status, 204);
    assert_eq!([owner(groups[0]).await, owner(groups[1]).await], [Some(carla), Some(berta)]);
    assert_eq!(owner(groups[2]).await, None, "a group without members stays");
    assert_eq!(server.get(&format!("/api/community/groups/{}/", groups[2]), &staff).await.status, 200);

    let path = format!("/api/users/{carla}/?reassign_to={dora}");
    assert_eq!(server.delete(&path, &staff).await.status, 204);
    assert_eq!(owner(groups[0]).await, Some(dora));
    let invalid = server.delete(&format!("/api/users/{berta}/?reassign_to={carla}"), &staff).await;
    assert_eq!((invalid.status.as_u16(), invalid.json()["errors"]["reassign_to"].is_array()), (400, true));
}

#[tokio::test]
async fn an_unreachable_mail_server_does_not_affect_requests() {
    let server = TestServer::start_with(&[("GUILDHALL__MAIL__SMTP_URL", "smtp://127.0.0.1:9")]).await;
    server.sign_up("anna").await;
    let mut last_error = String::new();
    while last_error.is_empty() {
        let rows = server.query("SELECT last_error FROM kernel_outbox WHERE last_error IS NOT NULL").await;
        last_error = rows.first().map(|row| row.try_get_by_index(0).unwrap()).unwrap_or_default();
        tokio::task::yield_now().await;
    }
    assert!(!last_error.is_empty());
    let waiting = server.query("SELECT id FROM kernel_outbox WHERE next_at IS NOT NULL").await;
    assert_eq!(waiting.len(), 1, "delivery is retried");
    assert_eq!(server.get("/readyz", "").await.status, 200);
}
