use std::collections::BTreeMap;

use guildhall_accounts::{NewUser, WeakPassword};
use guildhall_gateway::{Server, Services, Settings, Sources};
use guildhall_kernel::{Roles, testing::TestDb};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse é";

/// A whole server with a database of its own, as `guildhall serve` starts it.
pub(crate) struct TestServer {
    pub(crate) server: Server,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) db: TestDb,
    /// Where files lie, for as long as the server runs.
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
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
        // A test does in a second what a person does in a day.
        ("GUILDHALL__ACCOUNTS__LIMITS__REGISTRATIONS_PER_HOUR".to_owned(), "10000".to_owned()),
        ("GUILDHALL__LIMITS__WRITES_PER_MINUTE".to_owned(), "1000000".to_owned()),
        // What a test says does not depend on what else fills this machine's disk.
        ("GUILDHALL__LIMITS__FREE_DISK_PERCENT".to_owned(), "0".to_owned()),
    ]);
    variables.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Settings::load(&Sources { variables, ..Sources::default() }).unwrap()
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(more: &[(&str, &str)]) -> Self {
        let db = TestDb::new(guildhall_migration::all).await;
        let folder = tempfile::tempdir().unwrap();
        let data_dir = ("GUILDHALL__DATA_DIR", folder.path().to_str().unwrap());
        let settings = settings(db.url(), &[&[data_dir], more].concat());
        let services = Services::open(&settings, true).await.unwrap();
        let server = Server::start(&settings, services).await.unwrap();
        let url = format!("http://{}", server.address());
        Self { server, url, client: Client::new(), db, _folder: folder }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        let answer = Answer { status, headers, text };
        crate::conformance::check(&method, &path, &answer);
        answer
    }

    pub(crate) async fn get(&self, path: &str, authorization: &str) -> Answer {
        self.send(self.request(Method::GET, path).header("authorization", authorization)).await
    }

    pub(crate) async fn post(&self, path: &str, authorization: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).header("authorization", authorization).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str, authorization: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).header("authorization", authorization)).await
    }

    /// Registers somebody and signs them in: the answer to the sign-in.
    pub(crate) async fn newcomer(&self, name: &str) -> Value {
        let body = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
        assert_eq!(self.post("/api/auth/register/", "", body).await.status, 201);
        self.sign_in(name).await
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Value {
        let answer = self.post("/api/auth/login/", "", json!({"username": name, "password": PASSWORD})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Makes somebody with roles, as the command line does, and signs them in.
    pub(crate) async fn appointed(&self, name: &str, roles: Roles) -> Value {
        let new = NewUser {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: PASSWORD.to_owned(),
            first_name: String::new(),
            last_name: String::new(),
        };
        self.server.services().accounts.create_user(new, roles, WeakPassword::Refuse).await.unwrap();
        self.sign_in(name).await
    }

    /// Runs a statement of a test's own.
    pub(crate) async fn sql(&self, sql: &str) {
        self.db.write(|tx| async move { tx.conn().execute_unprepared(sql).await.map(|_| ()) }).await.unwrap();
    }

    /// The rows of a query of a test's own.
    pub(crate) async fn rows_of(&self, sql: &str) -> Vec<QueryResult> {
        self.db.conn().query_all_raw(Statement::from_string(self.db.backend(), sql)).await.unwrap()
    }

    /// The one row of it.
    pub(crate) async fn row(&self, sql: &str) -> QueryResult {
        self.rows_of(sql).await.pop().unwrap()
    }

    async fn tables(&self) -> Vec<String> {
        let listed = self
            .rows_of(match self.db.backend() {
                DbBackend::Sqlite => "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'",
                _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
            })
            .await;
        listed.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// How many rows each table has, but for what the server does by itself.
    pub(crate) async fn rows(&self) -> BTreeMap<String, i64> {
        let mut rows = BTreeMap::new();
        for table in self.tables().await {
            if !table.starts_with("sqlite_") && table != "kernel_job" {
                let row = self.row(&format!("SELECT COUNT(*) FROM {table}")).await;
                rows.insert(table, row.try_get_by_index(0).unwrap());
            }
        }
        rows
    }

    /// All that the rows of a table say.
    pub(crate) async fn contents(&self, table: &str) -> Option<String> {
        let sql = match self.db.backend() {
            DbBackend::Sqlite => {
                let columns = self.rows_of(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
                let column = |row: &QueryResult| format!("quote({})", row.try_get_by_index::<String>(0).unwrap());
                let said = columns.iter().map(column).collect::<Vec<_>>().join(" || ',' || ");
                format!("SELECT group_concat(said, char(10)) FROM (SELECT {said} AS said FROM {table} ORDER BY 1)")
            }
            _ => format!("SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM {table} t"),
        };
        self.row(&sql).await.try_get_by_index(0).unwrap()
    }
}

/// A documented path with a value for each of its parameters.
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
