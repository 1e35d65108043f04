use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use guildhall_deals::{
    Amount, Client, ClientId, Clients, Currency, Deal, DealId, Deals, Filter, Host, Invitations, Member, Members,
    NewClient, NewDeal, NewMember, NewOrganization, NewPayment, NewTeam, OrganizationId, Organizations, Payment,
    PaymentMethod, Payments, RoleId, Settings, SqlDeals, TeamId, migrations,
};
use guildhall_kernel::{
    self as kernel, Caller, Clock, HostTables, Outbox, PageQuery, Roles, Timestamp, UserId,
    db::SqlMigration,
    file::{Files, FolderStore, UploadLimits},
    idempotency::Made,
    letter::Letterhead,
    testing::{TestDb, fake_directory},
    web::{Post, Unreached},
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::MigrationTrait;

/// The people of the host: ids 1 to 60, in a table that the crate has never heard of.
pub(crate) fn with_people() -> Vec<Box<dyn MigrationTrait>> {
    let rows: Vec<String> = (1..=60).map(|id| format!("({id}, 'person-{id}')")).collect();
    let up = format!(
        "CREATE TABLE people (id {{id}}, name text); INSERT INTO people (id, name) VALUES {};",
        rows.join(", ")
    );
    let mut all: Vec<Box<dyn MigrationTrait>> =
        vec![Box::new(SqlMigration::new("m20240101_000000_people", &up, "DROP TABLE people;"))];
    all.extend(guildhall_kernel::migrations(&HostTables { users: "people" }));
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

/// Something that was sent: where to, with which headers, and what.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) body: String,
}

/// Takes what webhooks are told, and answers what a test says.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) sent: Mutex<Vec<Sent>>,
    /// The statuses of the next answers; 204 where there are none.
    pub(crate) answers: Mutex<Vec<u16>>,
}

#[async_trait]
impl Post for Wire {
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, Unreached> {
        let headers = headers.iter().cloned().collect();
        self.sent.lock().unwrap().push(Sent { url: url.to_owned(), headers, body: body.to_owned() });
        Ok(self.answers.lock().unwrap().pop().unwrap_or(204))
    }

    fn refuses(&self, url: &str) -> Option<String> {
        url.contains("192.168.").then(|| "the host is not of the public Internet".to_owned())
    }
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) deals: SqlDeals,
    pub(crate) files: Files,
    pub(crate) outbox: Outbox,
    /// What webhooks are told.
    pub(crate) wire: Arc<Wire>,
    ahead: Arc<AtomicI64>,
    /// Where files lie.
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
    let db = TestDb::with_connections(with_people, connections).await;
    let ahead = Arc::new(AtomicI64::new(0));
    let offset = ahead.clone();
    let clock =
        Clock::from_fn(move || Timestamp::now() + Duration::from_micros(offset.load(Ordering::Relaxed).unsigned_abs()));
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(FolderStore::new(folder.path()));
    let url = "https://example.org/api".parse().unwrap();
    let files = Files::open(db.handle(), store, clock.clone(), url, UploadLimits::up_to(1 << 20)).await.unwrap();
    let outbox = Outbox::new(db.handle(), clock.clone());
    let wire = Arc::new(Wire::default());
    let host = Host {
        clock,
        directory: Arc::new(fake_directory(1..=60)),
        files: files.clone(),
        outbox: outbox.clone(),
        post: Some(wire.clone()),
        letterhead: Letterhead { service: "Guildhall".to_owned(), home: "https://example.org".parse().unwrap() },
        settings: Settings::default(),
    };
    let deals = SqlDeals::new(db.handle(), host);
    Harness { db, deals, files, outbox, wire, ahead, _folder: folder }
}

impl Harness {
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {table}")).await
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let query = Statement::from_string(self.db.backend(), sql);
        self.db.conn().query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    pub(crate) async fn sql(&self, sql: &str) -> Result<(), DbErr> {
        self.db.write(|tx| async move { tx.conn().execute_unprepared(sql).await.map(|_| ()) }).await
    }

    /// From now on no row comes into a table of which this holds: `title = 'x'`.
    pub(crate) async fn refuse(&self, table: &str, condition: &str) {
        let sql = match self.db.backend() {
            DbBackend::Sqlite => format!(
                "CREATE TRIGGER refused_{table} BEFORE INSERT ON {table} WHEN NEW.{condition} \
                 BEGIN SELECT RAISE(ABORT, 'refused'); END"
            ),
            _ => format!("ALTER TABLE {table} ADD CONSTRAINT refused CHECK (NOT ({condition})) NOT VALID"),
        };
        self.sql(&sql).await.unwrap();
    }

    /// Lets time go by.
    pub(crate) fn pass(&self, time: Duration) {
        self.ahead.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// Every counter is what it counts.
    pub(crate) async fn assert_counted(&self) {
        let findings = self.examine(false).await.unwrap();
        assert!(findings.iter().all(|finding| !finding.is_fault()), "{findings:?}");
    }

    /// An organization of person 1.
    pub(crate) async fn org(&self) -> OrganizationId {
        self.org_of(1, "Acme").await
    }

    pub(crate) async fn org_of(&self, owner: i64, name: &str) -> OrganizationId {
        let new = NewOrganization { name: name.to_owned(), ..NewOrganization::default() };
        self.create_organization(&person(owner), new).await.unwrap().id
    }

    pub(crate) async fn role(&self, org: OrganizationId, key: &str) -> RoleId {
        let roles = Members::roles(&self.deals, &person_in(self, org).await, org, page()).await.unwrap();
        roles.results.iter().find(|role| role.key.as_deref() == Some(key)).unwrap().id
    }

    pub(crate) async fn join(&self, org: OrganizationId, user: i64, role: &str, team: Option<TeamId>) -> Member {
        let role_id = self.role(org, role).await;
        let new = NewMember { user_id: UserId(user), role_id, team_id: team, leads_team: false };
        self.take_in(org, new).await
    }

    /// Invites somebody, who accepts.
    pub(crate) async fn take_in(&self, org: OrganizationId, new: NewMember) -> Member {
        let user = new.user_id.0;
        let invited = self.add_member(&person_in(self, org).await, org, new).await.unwrap();
        self.accept_invitation(&person(user), invited.id).await.unwrap()
    }

    pub(crate) async fn team_of(&self, org: OrganizationId, name: &str, parent_id: Option<TeamId>) -> TeamId {
        let new = NewTeam { name: name.to_owned(), parent_id };
        self.create_team(&person_in(self, org).await, org, new).await.unwrap().id
    }

    pub(crate) async fn client_of(&self, user: i64, org: OrganizationId, name: &str) -> Client {
        let new = NewClient { name: name.to_owned(), ..NewClient::default() };
        self.create_client(&person(user), org, new).await.unwrap()
    }

    pub(crate) async fn deal_of(&self, user: i64, org: OrganizationId, client: ClientId, value: &str) -> Deal {
        made(self.create_deal(&person(user), org, None, deal(client, "Website", value), None).await.unwrap())
    }

    pub(crate) async fn pay(&self, user: i64, org: OrganizationId, deal: DealId, amount: &str) -> Payment {
        made(self.record_payment(&person(user), org, deal.into(), payment(amount), None).await.unwrap())
    }

    pub(crate) async fn read(&self, user: i64, org: OrganizationId, id: DealId) -> Deal {
        Deals::deal(&self.deals, &person(user), org, id.into(), None).await.unwrap()
    }

    /// The titles of the deals that somebody sees.
    pub(crate) async fn titles(&self, user: i64, org: OrganizationId, filter: &[(&str, &str)]) -> Vec<String> {
        let filter = Filter::new(filter.iter().copied());
        let found = Deals::deals(&self.deals, &person(user), org, None, filter, page()).await.unwrap();
        found.results.into_iter().map(|deal| deal.title).collect()
    }
}

/// An owner of an organization.
async fn person_in(harness: &Harness, org: OrganizationId) -> Caller {
    let sql = format!(
        "SELECT m.user_id FROM deals_member m JOIN deals_role r ON r.id = m.role_id \
         WHERE m.org_id = {org} AND r.key = 'owner' AND m.status = 'active' ORDER BY m.id LIMIT 1"
    );
    person(harness.number(&sql).await)
}

pub(crate) fn made<T>(made: Made<T>) -> T {
    match made {
        Made::New(value) => value,
        Made::Before(answer) => panic!("made before: {answer}"),
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

/// The fields that are refused.
pub(crate) fn faults<T>(outcome: Result<T, guildhall_deals::Error>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(error) => kernel::Error::from(error).fields().keys().cloned().collect(),
    }
}
