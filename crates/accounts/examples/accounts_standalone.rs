//! Accounts and tokens in a standalone service that prints emails instead of sending them.
//!
//! Try it:
//! `curl -H 'Content-Type: application/json' http://127.0.0.1:8002/auth/register/ \
//!     -d '{"username": "anna", "email": "anna@example.org", "password": "correct horse é"}'`
//! `curl -H 'Content-Type: application/json' http://127.0.0.1:8002/auth/login/ \
//!     -d '{"username": "anna", "password": "correct horse é"}'`

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use axum::{extract::Request, middleware::Next};
use guildhall_accounts::{AccountsState, Host, Settings, SqlAccounts, USERS, router, well_known};
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Caller, Clock, Db, HostTables, Json, PublicUrl, TrustedProxies,
    mail::{DeliveryError, Mail, Mailer},
};

/// Prints emails.
struct Printer;

#[async_trait]
impl Mailer for Printer {
    async fn send(&self, _: i64, mail: &Mail) -> Result<(), DeliveryError> {
        print(&format!("to {}: {}\n\n{}", mail.to, mail.subject, mail.text));
        Ok(())
    }

    async fn check(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "printing is what the example does")]
fn print(text: &str) {
    println!("{text}");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("accounts-{}.db", std::process::id()));
    let db = Db::connect(&format!("sqlite://{}?mode=rwc", file.display()), 4).await?;
    db.migrate(|| {
        let mut all = guildhall_accounts::migrations();
        all.extend(kernel::migrations(&HostTables { users: USERS }));
        all.extend(guildhall_files::migrations());
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    })
    .await?;

    let url: PublicUrl = "http://127.0.0.1:8002".parse()?;
    // The pictures of users.
    let store = Arc::new(FolderStore::new(file.with_extension("files")));
    let files = Files::open(db.clone(), store, Clock::system(), url.clone(), UploadLimits::up_to(5 << 20)).await?;
    let host = Host { name: "Example".to_owned(), ..Host::new(&db, files.clone(), url.clone()) };
    let outbox = host.outbox.clone();
    let accounts = SqlAccounts::open(db, Settings::default(), host).await?;
    accounts.calibrate().await?;
    tokio::spawn(async move {
        let mut changes = outbox.stored_work();
        while changes.changed().await.is_ok() {
            let _ = outbox.deliver_emails(&Printer).await;
        }
    });

    let state = AccountsState::new(&accounts, url);
    // A custom handler: the `Caller` argument requires authentication.
    let hello = |caller: Caller| async move { Json(format!("You are user {}.", caller.user)) };
    let custom = axum::Router::new().route("/hello", axum::routing::get(hello)).with_state(state.clone());
    let app = axum::Router::from(router(state.clone()))
        .merge(custom)
        .merge(axum::Router::from(guildhall_files::router(files)))
        .nest("/.well-known", well_known(state).into())
        // Determines the origin of each request, for throttling and the audit log.
        .layer(axum::middleware::from_fn(|request: Request, next: Next| async {
            TrustedProxies::default().origin(&request, None).scope(next.run(request)).await
        }))
        .into_make_service_with_connect_info::<std::net::SocketAddr>();
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8002").await?, app).await?)
}
