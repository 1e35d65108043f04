//! The scenarios, which run on the server and on the floor.

use std::{
    mem,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use clap::ValueEnum;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::{
    client::{Ask, Client, Make, RequestSource, TokenPair, Wire, get, post, put, sign_in},
    fill::{BUSY, COMMON, RARE, UNCOMMON, Volume},
    load,
    report::{Latency, Line, Side, Spread},
};

/// How long a server is warmed up before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// The number of groups that are read in turn.
const GROUPS_READ: u32 = 1_000;
/// The path of the organization with the deals.
const CRM: &str = "/api/crm/organizations/1/";
/// The latency is measured at this fraction of the throughput.
const LATENCY_LOAD: f64 = 0.5;

/// A kind of request, sent by every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Sign in, each connection as a different user
    SignIn,
    /// Refresh tokens, each connection its own
    Refresh,
    /// The caller's account
    Me,
    /// The first 20 users
    Users,
    /// The newest 20 groups
    Groups,
    /// A group, a different one of the first thousand each time
    Group,
    /// The newest 20 public posts
    GlobalFeed,
    /// The newest 20 posts of the caller's groups
    Feed,
    /// The newest 20 posts visible to the caller
    Home,
    /// Search for a word that is in one post of ten thousand
    Search,
    /// Search for a word that is in one post of a hundred
    SearchUncommon,
    /// Search for a word that is in half of the posts
    SearchCommon,
    /// React to a post, a different one of some thousands each time
    React,
    /// Create posts in the caller's groups in turn
    CreatePost,
    /// Create groups
    CreateGroup,
    /// Create a group and delete it, counted as one request
    DeleteGroup,
    /// The newest 20 deals
    Deals,
    /// The newest 20 of the caller's deals in a stage
    DealsFiltered,
    /// The 20 deals with the highest value in a currency
    DealsByValue,
    /// A deal, a different one each time
    Deal,
    /// Search deals by number
    DealSearch,
    /// Search clients, contacts and deals
    SearchAll,
    /// The board: 50 deals of each stage, with totals
    Board,
    /// The value of the deals in each stage
    PipelineReport,
    /// The revenue of two years by month
    Revenue,
    /// Create deals
    CreateDeal,
    /// Record payments, each with an idempotency key
    Pay,
}

impl Scenario {
    /// All scenarios that have a floor. Those that create rows are last, so that the lists keep their size.
    pub const ALL: [Self; 20] = [
        Self::SignIn,
        Self::Refresh,
        Self::Me,
        Self::Users,
        Self::Groups,
        Self::Group,
        Self::GlobalFeed,
        Self::Feed,
        Self::Home,
        Self::Search,
        Self::SearchUncommon,
        Self::SearchCommon,
        Self::Deals,
        Self::Deal,
        Self::CreateDeal,
        Self::Pay,
        Self::React,
        Self::CreatePost,
        Self::CreateGroup,
        Self::DeleteGroup,
    ];
    /// The scenarios about deals.
    pub const DEALS: [Self; 11] = [
        Self::Deals,
        Self::DealsFiltered,
        Self::DealsByValue,
        Self::Deal,
        Self::DealSearch,
        Self::SearchAll,
        Self::Board,
        Self::PipelineReport,
        Self::Revenue,
        Self::CreateDeal,
        Self::Pay,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign in",
            Self::Refresh => "refresh",
            Self::Me => "own account",
            Self::Users => "20 people",
            Self::Groups => "20 groups",
            Self::Group => "a group",
            Self::GlobalFeed => "20 public posts",
            Self::Feed => "20 posts of own groups",
            Self::Home => "20 visible posts",
            Self::Search => "search, rare word",
            Self::SearchUncommon => "search, uncommon word",
            Self::SearchCommon => "search, common word",
            Self::React => "react",
            Self::CreatePost => "post",
            Self::CreateGroup => "create a group",
            Self::DeleteGroup => "create and delete a group",
            Self::Deals => "20 deals",
            Self::DealsFiltered => "20 own deals of a stage",
            Self::DealsByValue => "20 deals by value",
            Self::Deal => "a deal",
            Self::DealSearch => "search deals, a number",
            Self::SearchAll => "search everything",
            Self::Board => "board",
            Self::PipelineReport => "pipeline report",
            Self::Revenue => "revenue report",
            Self::CreateDeal => "create a deal",
            Self::Pay => "record a payment",
        }
    }

    /// The expected status.
    fn expected(self) -> StatusCode {
        match self {
            Self::CreatePost | Self::CreateGroup | Self::CreateDeal | Self::Pay => StatusCode::CREATED,
            Self::React | Self::DeleteGroup => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        }
    }
}

/// A server with signed-in users.
pub struct Target {
    address: SocketAddr,
    people: Vec<TokenPair>,
    names: Arc<AtomicU32>,
    volume: Volume,
}

impl Target {
    /// Signs in one user for each connection, on a database of this volume.
    ///
    /// # Errors
    /// Among others, if there are more connections than busy users.
    pub async fn sign_in(address: SocketAddr, connections: u32, volume: Volume) -> anyhow::Result<Self> {
        ensure!(connections <= BUSY, "there are only {BUSY} busy users");
        let mut people = Vec::new();
        for person in 0..connections {
            people.push(request_tokens(address, person).await?);
        }
        Ok(Self { address, people, names: Arc::new(AtomicU32::new(1)), volume })
    }

    /// A client for each user.
    pub async fn clients(&self, scenario: Scenario) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::new();
        for (number, tokens) in (0..).zip(&self.people) {
            clients.push(self.client(scenario, number, tokens).await?);
        }
        Ok(clients)
    }

    /// Sends one request and returns the response body.
    pub async fn sample(&self, scenario: Scenario) -> anyhow::Result<Value> {
        // With separate tokens, because a refresh token can be used only once.
        let tokens = request_tokens(self.address, 0).await?;
        self.client(scenario, 0, &tokens).await?.sample().await
    }

    async fn client(&self, scenario: Scenario, person: u32, tokens: &TokenPair) -> anyhow::Result<Client> {
        Client::open(self.address, self.requests(scenario, person, tokens)?, scenario.expected()).await
    }

    fn requests(&self, scenario: Scenario, person: u32, tokens: &TokenPair) -> anyhow::Result<RequestSource> {
        let access = tokens.access.clone();
        let read = |path: &str| get(path, Some(tokens.access.as_str())).map(RequestSource::same);
        let crm = |path: &str| read(&format!("{CRM}{path}"));
        let search = |word: &str| read(&format!("/api/community/search/?q={word}&limit=20"));
        match scenario {
            Scenario::SignIn => sign_in(person).map(RequestSource::same),
            Scenario::Refresh => Ok(RequestSource::Refresh(tokens.refresh.clone())),
            Scenario::Me => read("/api/auth/me/"),
            Scenario::Users => read("/api/users/?page_size=20"),
            Scenario::Groups => read("/api/community/groups/?page_size=20"),
            Scenario::Group => Ok(read_groups(self.volume, person, access)),
            Scenario::GlobalFeed => read("/api/community/posts/?feed_type=global&limit=20"),
            Scenario::Feed => read("/api/community/posts/?feed_type=joined_groups&limit=20"),
            Scenario::Home => read("/api/community/posts/?limit=20"),
            Scenario::Search => search(RARE),
            Scenario::SearchUncommon => search(UNCOMMON),
            Scenario::SearchCommon => search(COMMON),
            Scenario::React => react(self.volume, person, access),
            Scenario::CreatePost => Ok(create_posts(self.volume, person, access)),
            Scenario::CreateGroup => Ok(RequestSource::Each(new_groups(self.names.clone(), access))),
            Scenario::Deals => crm("deals/?page_size=20"),
            Scenario::DealsFiltered => crm("deals/?page_size=20&owner=me&stage=proposal"),
            Scenario::DealsByValue => crm("deals/?page_size=20&currency=EUR&ordering=-value"),
            Scenario::Deal => {
                Ok(each_deal(self.volume, person, move |deal| get(&format!("{CRM}deals/{deal}/"), Some(&access))))
            }
            Scenario::DealSearch => crm(&format!("deals/?q=dlid{}", self.volume.deals / 2 + 1)),
            Scenario::SearchAll => crm(&format!("search/?q=dlid{}", self.volume.deals / 2 + 1)),
            Scenario::Board => crm("pipelines/1/board/"),
            Scenario::PipelineReport => crm("reports/pipeline/"),
            Scenario::Revenue => crm("reports/revenue/?from=2025-01-01&to=2026-12-31"),
            Scenario::CreateDeal => Ok(RequestSource::each(move || {
                let body = r#"{"client_id":1,"title":"Created under load","value":"1200.50","currency":"EUR"}"#;
                post(&format!("{CRM}deals/"), Some(&access), body.to_owned())
            })),
            Scenario::Pay => {
                let names = self.names.clone();
                Ok(each_deal(self.volume, person, move |deal| {
                    let body = r#"{"amount":"1","method":"bank"}"#.to_owned();
                    let mut ask = post(&format!("{CRM}deals/{deal}/payments/"), Some(&access), body)?;
                    let key = format!("key-{}", names.fetch_add(1, Ordering::Relaxed));
                    ask.headers_mut().insert("idempotency-key", key.parse()?);
                    Ok(ask)
                }))
            }
            Scenario::DeleteGroup => {
                Ok(RequestSource::DeleteGroup { groups: new_groups(self.names.clone(), access.clone()), access })
            }
        }
    }
}

/// A different deal each time, skipping the trash. Each user starts at a different one.
fn each_deal(
    volume: Volume,
    person: u32,
    mut ask: impl FnMut(u32) -> anyhow::Result<Ask> + Send + 'static,
) -> RequestSource {
    let mut turn = person * 31;
    RequestSource::each(move || {
        turn = (turn + 7) % volume.deals.max(1);
        let deal = turn + 1;
        ask(if deal.is_multiple_of(20) { deal - 1 } else { deal })
    })
}

/// A different group each time. Each user starts at a different one.
fn read_groups(volume: Volume, person: u32, access: String) -> RequestSource {
    let count = volume.groups.min(GROUPS_READ);
    let mut turn = person * 31;
    RequestSource::each(move || {
        turn = (turn + 1) % count;
        get(&format!("/api/community/groups/{}/", turn + 1), Some(&access))
    })
}

/// Half of the posts are from the user's groups, the other half is in no group. After one round it starts again with
/// the other reaction, so that each request is a change.
fn react(volume: Volume, person: u32, access: String) -> anyhow::Result<RequestSource> {
    let mut posts: Vec<u32> = volume.groups_of(person).into_iter().flat_map(|group| volume.posts_of(group)).collect();
    let open: Vec<u32> = volume.open_posts().collect();
    let step = (open.len() / posts.len().max(1)).max(1);
    posts.extend(open.into_iter().skip(usize::try_from(person)? % step).step_by(step));
    // Shuffle with Fibonacci hashing: 2^32 divided by the golden ratio.
    posts.sort_unstable_by_key(|post| post.wrapping_mul(2_654_435_769));
    ensure!(!posts.is_empty(), "there are no posts");
    let mut turn = 0_usize;
    Ok(RequestSource::each(move || {
        let (index, round) = (turn % posts.len(), turn / posts.len());
        turn += 1;
        let kind = if (index + round).is_multiple_of(2) { "like" } else { "love" };
        put(&format!("/api/community/posts/{}/reactions/{kind}/", posts[index]), &access)
    }))
}

/// Posts in each of the user's groups in turn.
fn create_posts(volume: Volume, person: u32, access: String) -> RequestSource {
    let mut groups = volume.groups_of(person).into_iter().cycle();
    RequestSource::each(move || {
        let group = groups.next().unwrap_or(1);
        let body = format!(r#"{{"content":"A few words written under load.","group":{group}}}"#);
        post("/api/community/posts/", Some(&access), body)
    })
}

/// Group names are unique, because a duplicate would need another attempt.
fn new_groups(names: Arc<AtomicU32>, access: String) -> Make {
    Box::new(move || {
        let number = names.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"name":"Created under load {number}","description":"One of very many."}}"#);
        post("/api/community/groups/", Some(&access), body)
    })
}

/// Signs a user in.
async fn request_tokens(address: SocketAddr, person: u32) -> anyhow::Result<TokenPair> {
    let (status, body) = Wire::open(address).await?.fetch(sign_in(person)?).await?;
    ensure!(status == StatusCode::OK, "unexpected response {status} to a sign-in: {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body)?)
}

/// Number and length of the runs of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of runs on each server.
    pub runs: u32,
    /// Length of a run.
    pub length: Duration,
}

/// Measures a scenario on both servers. The runs alternate, so that disturbances affect both.
///
/// # Errors
/// Among others, if the response of the floor has a different structure than that of the server.
pub async fn measure(scenario: Scenario, server: &Target, floor: &Target, plan: Plan) -> anyhow::Result<Line> {
    let (actual, expected) = (floor.sample(scenario).await?, server.sample(scenario).await?);
    let name = scenario.name();
    ensure!(same_structure(&actual, &expected), "{name}: the floor responds with {actual}, the server with {expected}");

    let (mut on_server, mut on_floor) = (server.clients(scenario).await?, floor.clients(scenario).await?);
    load::closed(&mut on_server, WARM_UP).await?;
    load::closed(&mut on_floor, WARM_UP).await?;
    let (mut rates, mut floor_rates, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..plan.runs {
        let run = load::closed(&mut on_server, plan.length).await?;
        rates.push(run.rate);
        refused += run.refused;
        floor_rates.push(load::closed(&mut on_floor, plan.length).await?.rate);
    }
    let (rate, floor_rate) = (Spread::of(rates), Spread::of(floor_rates));
    let (p50_ms, p99_ms) = latency(&mut on_server, rate.median * LATENCY_LOAD, plan).await?;
    let ratio = rate.median / floor_rate.median;
    Ok(Line { scenario, server_per_second: rate, floor_per_second: floor_rate, ratio, p50_ms, p99_ms, refused })
}

/// Measures a scenario without a floor.
pub async fn measure_alone(scenario: Scenario, server: &Target, plan: Plan) -> anyhow::Result<Side> {
    let mut clients = server.clients(scenario).await?;
    load::closed(&mut clients, WARM_UP).await?;
    let (mut rates, mut refused) = (Vec::new(), 0);
    for _ in 0..plan.runs {
        let run = load::closed(&mut clients, plan.length).await?;
        rates.push(run.rate);
        refused += run.refused;
    }
    let per_second = Spread::of(rates);
    let (p50_ms, p99_ms) = latency(&mut clients, per_second.median * LATENCY_LOAD, plan).await?;
    Ok(Side { per_second, p50_ms, p99_ms, refused })
}

/// The p50 and p99 latency at a request rate.
async fn latency(clients: &mut Vec<Client>, rate: f64, plan: Plan) -> anyhow::Result<(Spread, Spread)> {
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let latency = Latency::of(&load::open(clients, rate, plan.length).await?);
        p50.push(latency.p50);
        p99.push(latency.p99);
    }
    Ok((Spread::of(p50), Spread::of(p99)))
}

/// Whether two responses have the same members, regardless of their values. `null` matches everything, and lists are
/// compared by their first item.
fn same_structure(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(other)) => {
            let same =
                |(key, value): (&String, &Value)| other.get(key).is_some_and(|known| same_structure(value, known));
            one.len() == other.len() && one.iter().all(same)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.first().zip(other.first()).is_none_or(|(one, other)| same_structure(one, other))
        }
        _ => mem::discriminant(one) == mem::discriminant(other),
    }
}

#[cfg(test)]
mod tests {
    use guildhall_accounts::HashCost;
    use guildhall_gateway::{Server, Services, Settings, Sources};
    use guildhall_kernel::testing::TestDb;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        fill::{fill_at, password_hash},
        floor,
    };

    const VOLUME: Volume = Volume { people: 30, groups: 30, posts: 400, deals: 60 };

    async fn server(url: &str) -> Server {
        let variables = [
            ("GUILDHALL__SERVER__BIND", "127.0.0.1:0"),
            ("GUILDHALL__DATABASE__URL", url),
            ("GUILDHALL__LIMITS__ENABLED", "false"),
            ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "64"),
            ("GUILDHALL__ACCOUNTS__HASH__PASSES", "1"),
        ];
        let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let settings = Settings::load(&Sources { variables, ..Sources::default() }).unwrap();
        let services = Services::open(&settings, true).await.unwrap();
        Server::start(&settings, services).await.unwrap()
    }

    async fn database() -> TestDb {
        let db = TestDb::with_connections(guildhall_migration::all, 2).await;
        let hash = password_hash(HashCost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
        fill_at(db.url(), VOLUME, &hash).await.unwrap();
        db
    }

    #[tokio::test]
    async fn the_floor_does_the_same_work_as_the_server() {
        let (db, floor_db) = (database().await, database().await);
        let server = server(db.url()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(floor::serve_on(listener, floor_db.url().to_owned()));

        let on_server = Target::sign_in(server.address(), 2, VOLUME).await.unwrap();
        let on_floor = Target::sign_in(address, 2, VOLUME).await.unwrap();
        for scenario in Scenario::ALL {
            let expected = on_server.sample(scenario).await.unwrap();
            let actual = on_floor.sample(scenario).await.unwrap();
            assert!(same_structure(&actual, &expected), "{scenario:?}: the floor {actual}, the server {expected}");
            let mut clients = on_floor.clients(scenario).await.unwrap();
            let length = Duration::from_millis(50);
            assert!(load::closed(&mut clients, length).await.unwrap().rate > 0.0, "{scenario:?}");
            assert!(!load::open(&mut clients, 100.0, length).await.unwrap().is_empty(), "{scenario:?}");
            assert_eq!(clients.len(), 2);
        }
    }

    #[test]
    fn responses_with_different_members_have_a_different_structure() {
        let response = json!({"results": [{"id": 1, "name": "x"}], "next": null});
        assert!(same_structure(&response, &json!({"results": [{"id": 2, "name": "y"}, {}], "next": "z"})));
        assert!(same_structure(&response, &json!({"results": [], "next": null})));
        for other in [
            json!({"results": [{"id": 1}], "next": null}),
            json!({"results": [{"id": "1", "name": "x"}], "next": null}),
            json!({"results": [{"id": 1, "name": "x"}], "next": null, "count": 1}),
            json!([]),
        ] {
            assert!(!same_structure(&response, &other), "{other}");
        }
    }
}
