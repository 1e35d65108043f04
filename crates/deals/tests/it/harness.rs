use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use guildhall_deals::{
    Amount, Client, ClientId, Clients, Currency, Deal, DealId, Deals, Filter, Host, Invitations, Member, Members,
    NewClient, NewDeal, NewMember, NewOrganization, NewPayment, NewTeam, OrganizationId, Organizations, Payment,
    PaymentMethod, Payments, RoleId, Settings, SqlDeals, TeamId, Teams, migrations,
};
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Caller, Outbox, PageQuery, Roles, UserId,
    event::Dispatcher,
    http::{FetchError, WebhookSender},
    idempotency::Idempotent,
    mail::EmailBranding,
    testing::{PEOPLE, TestClock, TestDb, fake_directory, migrations_with_people},
};
use sea_orm::DbBackend;
use sea_orm_migration::MigrationTrait;

/// The migrations, and a user table of the host with the ids 1 to 60.
fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations_with_people(60);
    all.extend(guildhall_files::migrations());
    all.extend(migrations(&PEOPLE));
    all
}

/// A request to a webhook.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) body: String,
}

/// Records webhook requests.
#[derive(Default)]
pub(crate) struct FakeWebhookSender {
    pub(crate) sent: Mutex<Vec<Sent>>,
    /// The statuses of the next responses, last one first; 204 after that.
    pub(crate) responses: Mutex<Vec<u16>>,
}

#[async_trait]
impl WebhookSender for FakeWebhookSender {
    async fn send(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, FetchError> {
        let headers = headers.iter().cloned().collect();
        self.sent.lock().unwrap().push(Sent { url: url.to_owned(), headers, body: body.to_owned() });
        Ok(self.responses.lock().unwrap().pop().unwrap_or(204))
    }

    fn refuses(&self, url: &str) -> Option<String> {
        url.contains("192.168.").then(|| "the host is not on the public internet".to_owned())
    }
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) deals: SqlDeals,
    pub(crate) files: Files,
    pub(crate) outbox: Outbox,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) webhook_sender: Arc<FakeWebhookSender>,
    pub(crate) clock: TestClock,
    /// The folder of the file store, deleted on drop.
    _folder: tempfile::TempDir,
}

impl Deref for Harness {
    type Target = SqlDeals;

    fn deref(&self) -> &SqlDeals {
        &self.deals
    }
}

pub(crate) async fn deals() -> Harness {
    with_connections(1).await
}

pub(crate) async fn with_connections(connections: u32) -> Harness {
    let db = TestDb::with_connections(all_migrations, connections).await;
    let test_clock = TestClock::default();
    let clock = test_clock.clock();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(FolderStore::new(folder.path()));
    let url = "https://example.org/api".parse().unwrap();
    let files = Files::open(db.handle(), store, clock.clone(), url, UploadLimits::up_to(1 << 20)).await.unwrap();
    let outbox = Outbox::new(db.handle(), clock.clone());
    let webhook_sender = Arc::new(FakeWebhookSender::default());
    let host = Host {
        clock: clock.clone(),
        directory: Arc::new(fake_directory(1..=60)),
        files: files.clone(),
        outbox: outbox.clone(),
        webhook_sender: Some(webhook_sender.clone()),
        branding: EmailBranding { service: "Guildhall".to_owned(), home: "https://example.org".parse().unwrap() },
        settings: Settings::default(),
    };
    let deals = SqlDeals::new(db.handle(), host);
    let dispatcher = Dispatcher::new(db.handle(), clock, vec![Arc::new(deals.webhooks.clone())]);
    Harness { db, deals, files, outbox, dispatcher, webhook_sender, clock: test_clock, _folder: folder }
}

impl Harness {
    /// Makes the database reject new rows that meet a condition like `title = 'x'`.
    pub(crate) async fn reject_rows(&self, table: &str, condition: &str) {
        let sql = match self.db.backend() {
            DbBackend::Sqlite => format!(
                "CREATE TRIGGER refused_{table} BEFORE INSERT ON {table} WHEN NEW.{condition} \
                 BEGIN SELECT RAISE(ABORT, 'refused'); END"
            ),
            _ => format!("ALTER TABLE {table} ADD CONSTRAINT refused CHECK (NOT ({condition})) NOT VALID"),
        };
        self.db.sql(&sql).await.unwrap();
    }

    /// Asserts that all counters and totals match the rows.
    pub(crate) async fn assert_consistent(&self) {
        let findings = self.examine(false).await.unwrap();
        assert!(findings.iter().all(|finding| !finding.is_error()), "{findings:?}");
    }

    /// Creates an organization of person 1.
    pub(crate) async fn org(&self) -> OrganizationId {
        self.org_of(1, "Acme").await
    }

    pub(crate) async fn org_of(&self, owner: i64, name: &str) -> OrganizationId {
        let new = NewOrganization { name: name.to_owned(), ..NewOrganization::default() };
        self.tenancy.create_organization(&person(owner), new).await.unwrap().id
    }

    pub(crate) async fn role(&self, org: OrganizationId, key: &str) -> RoleId {
        let roles =
            guildhall_deals::Roles::roles(&self.deals.tenancy, &owner_of(self, org).await, org, page()).await.unwrap();
        roles.results.iter().find(|role| role.key.as_deref() == Some(key)).unwrap().id
    }

    pub(crate) async fn join(&self, org: OrganizationId, user: i64, role: &str, team: Option<TeamId>) -> Member {
        let role_id = self.role(org, role).await;
        let new = NewMember { user_id: UserId(user), role_id, team_id: team, leads_team: false };
        self.add_active_member(org, new).await
    }

    /// Invites a person, who accepts.
    pub(crate) async fn add_active_member(&self, org: OrganizationId, new: NewMember) -> Member {
        let user = new.user_id.0;
        let invited = self.tenancy.add_member(&owner_of(self, org).await, org, new).await.unwrap();
        self.tenancy.accept_invitation(&person(user), invited.id).await.unwrap()
    }

    pub(crate) async fn team_of(&self, org: OrganizationId, name: &str, parent_id: Option<TeamId>) -> TeamId {
        let new = NewTeam { name: name.to_owned(), parent_id };
        self.tenancy.create_team(&owner_of(self, org).await, org, new).await.unwrap().id
    }

    pub(crate) async fn client_of(&self, user: i64, org: OrganizationId, name: &str) -> Client {
        let new = NewClient { name: name.to_owned(), ..NewClient::default() };
        self.clients.create_client(&person(user), org, new).await.unwrap()
    }

    pub(crate) async fn deal_of(&self, user: i64, org: OrganizationId, client: ClientId, value: &str) -> Deal {
        created(self.sales.create_deal(&person(user), org, None, deal(client, "Website", value), None).await.unwrap())
    }

    pub(crate) async fn pay(&self, user: i64, org: OrganizationId, deal: DealId, amount: &str) -> Payment {
        created(self.ledger.record_payment(&person(user), org, deal.into(), payment(amount), None).await.unwrap())
    }

    pub(crate) async fn read(&self, user: i64, org: OrganizationId, id: DealId) -> Deal {
        Deals::deal(&self.deals.sales, &person(user), org, id.into(), None).await.unwrap()
    }

    /// The titles of the deals that a person sees.
    pub(crate) async fn titles(&self, user: i64, org: OrganizationId, filter: &[(&str, &str)]) -> Vec<String> {
        let filter = Filter::new(filter.iter().copied());
        let found = Deals::deals(&self.deals.sales, &person(user), org, None, filter, page()).await.unwrap();
        found.results.into_iter().map(|deal| deal.title).collect()
    }
}

/// An owner of an organization.
async fn owner_of(harness: &Harness, org: OrganizationId) -> Caller {
    let sql = format!(
        "SELECT m.user_id FROM deals_member m JOIN deals_role r ON r.id = m.role_id \
         WHERE m.org_id = {org} AND r.key = 'owner' AND m.status = 'active' ORDER BY m.id LIMIT 1"
    );
    person(harness.db.query_i64(&sql).await)
}

/// The object that a request created.
pub(crate) fn created<T>(outcome: Idempotent<T>) -> T {
    match outcome {
        Idempotent::Created(value) => value,
        Idempotent::Replayed(response) => panic!("replayed: {response}"),
    }
}

pub(crate) fn person(id: i64) -> Caller {
    Caller::new(UserId(id), Roles::default())
}

pub(crate) fn page() -> PageQuery {
    PageQuery::new(1, 100)
}

pub(crate) fn deal(client: ClientId, title: &str, value: &str) -> NewDeal {
    NewDeal {
        client_id: Some(client),
        title: title.to_owned(),
        description: String::new(),
        value: Some(Amount::new(value)),
        currency: Currency::from_code("USD"),
        pipeline_id: None,
        stage: None,
        contact_id: None,
        probability: None,
        source: String::new(),
        expected_close_date: None,
        owner_id: None,
        custom: BTreeMap::new(),
    }
}

pub(crate) fn payment(amount: &str) -> NewPayment {
    NewPayment {
        amount: Amount::new(amount),
        currency: None,
        method: PaymentMethod::Bank,
        received_on: None,
        reference: String::new(),
        cheque_number: None,
    }
}

pub(crate) fn code<T>(outcome: Result<T, guildhall_deals::Error>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => kernel::Error::from(error).code().to_owned(),
    }
}

/// The fields with errors.
pub(crate) fn invalid_fields<T>(outcome: Result<T, guildhall_deals::Error>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(error) => kernel::Error::from(error).fields().keys().cloned().collect(),
    }
}
