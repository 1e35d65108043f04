use std::collections::BTreeMap;

use guildhall_accounts::{NewUser, WeakPassword};
use guildhall_gateway::{Server, Services, Settings, Sources};
use guildhall_kernel::{Roles, event::Dispatcher, testing::TestDb};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse é";

/// A server with its own database, as started by `guildhall serve`.
pub(crate) struct TestServer {
    pub(crate) server: Server,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) db: TestDb,
    events: Dispatcher,
    /// The folder of uploaded files, kept while the server runs.
    folder: TempDir,
}

/// A completely read response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn settings(database: &str, more: &[(&str, &str)]) -> Settings {
    let mut variables = BTreeMap::from([
        ("GUILDHALL__SERVER__BIND".to_owned(), "127.0.0.1:0".to_owned()),
        ("GUILDHALL__DATABASE__URL".to_owned(), database.to_owned()),
        ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB".to_owned(), "64".to_owned()),
        ("GUILDHALL__ACCOUNTS__HASH__PASSES".to_owned(), "1".to_owned()),
        // Tests send more requests than the default limits allow.
        ("GUILDHALL__ACCOUNTS__LIMITS__REGISTRATIONS_PER_HOUR".to_owned(), "10000".to_owned()),
        ("GUILDHALL__LIMITS__WRITES_PER_MINUTE".to_owned(), "1000000".to_owned()),
        // Tests must not depend on the free space of this machine.
        ("GUILDHALL__LIMITS__FREE_DISK_PERCENT".to_owned(), "0".to_owned()),
    ]);
    variables.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Settings::load(&Sources { variables, ..Sources::default() }).unwrap()
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(more: &[(&str, &str)]) -> Self {
        Box::pin(Self::start_server(more)).await
    }

    async fn start_server(more: &[(&str, &str)]) -> Self {
        let db = TestDb::new(guildhall_migration::all).await;
        Box::pin(Self::serve(db, tempfile::tempdir().unwrap(), more)).await
    }

    /// Stops the server, and starts it again at the same address after `meanwhile`.
    pub(crate) async fn restart(self, meanwhile: impl AsyncFnOnce()) -> Self {
        let Self { server, db, folder, .. } = self;
        let address = server.address().to_string();
        server.stop().await.unwrap();
        meanwhile().await;
        Box::pin(Self::serve(db, folder, &[("GUILDHALL__SERVER__BIND", &address)])).await
    }

    async fn serve(db: TestDb, folder: TempDir, more: &[(&str, &str)]) -> Self {
        let data_dir = ("GUILDHALL__DATA_DIR", folder.path().to_str().unwrap());
        let settings = settings(db.url(), &[&[data_dir], more].concat());
        let services = Services::open(&settings, true).await.unwrap();
        let events = services.events.clone();
        let server = Server::start(&settings, services).await.unwrap();
        let url = format!("http://{}", server.address());
        Self { server, url, client: Client::new(), db, events, folder }
    }

    /// The services of the server.
    pub(crate) fn services(&self) -> &Services {
        self.server.services()
    }

    /// Waits until every event has been handled, here or in the background.
    pub(crate) async fn handle_events(&self) {
        let pending = "SELECT COUNT(*) FROM kernel_event_delivery WHERE next_at IS NOT NULL";
        loop {
            self.events.dispatch().await.unwrap();
            let query = Statement::from_string(self.db.backend(), pending);
            let row = self.db.conn().query_one_raw(query).await.unwrap().unwrap();
            if row.try_get_by_index::<i64>(0).unwrap() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Response {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        let response = Response { status, headers, text };
        crate::conformance::check(&method, &path, &response);
        response
    }

    pub(crate) async fn get(&self, path: &str, authorization: &str) -> Response {
        self.send(self.request(Method::GET, path).header("authorization", authorization)).await
    }

    pub(crate) async fn post(&self, path: &str, authorization: &str, body: Value) -> Response {
        self.send(self.request(Method::POST, path).header("authorization", authorization).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str, authorization: &str) -> Response {
        self.send(self.request(Method::DELETE, path).header("authorization", authorization)).await
    }

    /// Registers a user and signs in. Returns the body of the sign-in response.
    pub(crate) async fn sign_up(&self, name: &str) -> Value {
        let body = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
        assert_eq!(self.post("/api/auth/register/", "", body).await.status, 201);
        self.sign_in(name).await
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Value {
        let response = self.post("/api/auth/login/", "", json!({"username": name, "password": PASSWORD})).await;
        assert_eq!(response.status, 200, "{}", response.text);
        response.json()
    }

    /// Creates a user with roles, as the command line does, and signs in.
    pub(crate) async fn sign_up_with_roles(&self, name: &str, roles: Roles) -> Value {
        let new = NewUser {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: PASSWORD.to_owned(),
            first_name: String::new(),
            last_name: String::new(),
        };
        self.server.services().accounts.create_user(new, roles, WeakPassword::Reject).await.unwrap();
        self.sign_in(name).await
    }

    /// Runs an SQL statement.
    pub(crate) async fn sql(&self, sql: &str) {
        self.db.write(|tx| async move { tx.execute_unprepared(sql).await.map(|_| ()) }).await.unwrap();
    }

    /// The rows of an SQL query.
    pub(crate) async fn query(&self, sql: &str) -> Vec<QueryResult> {
        self.db.conn().query_all_raw(Statement::from_string(self.db.backend(), sql)).await.unwrap()
    }

    /// The single row of an SQL query.
    pub(crate) async fn query_one(&self, sql: &str) -> QueryResult {
        self.query(sql).await.pop().unwrap()
    }

    async fn tables(&self) -> Vec<String> {
        let rows = self
            .query(match self.db.backend() {
                DbBackend::Sqlite => "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'",
                _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
            })
            .await;
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// The number of rows of each table, except for those that change without requests.
    pub(crate) async fn row_counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for table in self.tables().await {
            if !table.starts_with("sqlite_") && table != "kernel_job" {
                let row = self.query_one(&format!("SELECT COUNT(*) FROM {table}")).await;
                counts.insert(table, row.try_get_by_index(0).unwrap());
            }
        }
        counts
    }

    /// The contents of a table as text.
    pub(crate) async fn contents(&self, table: &str) -> Option<String> {
        let sql = match self.db.backend() {
            DbBackend::Sqlite => {
                let columns = self.query(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
                let column = |row: &QueryResult| format!("quote({})", row.try_get_by_index::<String>(0).unwrap());
                let text = columns.iter().map(column).collect::<Vec<_>>().join(" || ',' || ");
                format!("SELECT group_concat(text, char(10)) FROM (SELECT {text} AS text FROM {table} ORDER BY 1)")
            }
            _ => format!("SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM {table} t"),
        };
        self.query_one(&sql).await.try_get_by_index(0).unwrap()
    }
}

/// Replaces the parameters of a documented path with a value.
pub(crate) fn fill_in(path: &str, value: &str) -> String {
    let mut parts = path.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        filled.push_str(value);
        filled.push_str(part.split_once('}').unwrap().1);
    }
    filled
}

pub(crate) fn bearer(signed_in: &Value) -> String {
    format!("Bearer {}", signed_in["access"].as_str().unwrap())
}
