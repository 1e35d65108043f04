//! What is asked of the server and of its floor alike.

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
    client::{Act, Ask, Client, Make, TokenPair, Wire, get, post, put, sign_in},
    fill::{BUSY, COMMON, RARE, UNCOMMON, Volume},
    load,
    report::{Latency, Line, Side, Spread},
};

/// How long a side runs before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// Of how many groups one is read, and another the next time.
const READ: u32 = 1_000;
/// Where the organization is that the deals are in.
const CRM: &str = "/api/crm/organizations/1/";
/// At which part of the throughput the latency is measured.
const LOAD: f64 = 0.5;

/// A sort of request, made by every connection for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Signing in, each connection as somebody else
    SignIn,
    /// Refreshing, each connection its own chain of tokens
    Refresh,
    /// The account of whoever asks
    Me,
    /// The first 20 people
    Users,
    /// The newest 20 groups
    Groups,
    /// One group, of the first thousand another one each time
    Group,
    /// The newest 20 posts that everybody may read
    GlobalFeed,
    /// The newest 20 posts of one's groups
    Feed,
    /// The newest 20 posts of all that one may read
    Home,
    /// Searching for a word that is in one post of ten thousand
    Search,
    /// Searching for a word that is in one post of a hundred
    SearchUncommon,
    /// Searching for a word that is in half of the posts
    SearchCommon,
    /// Making something of a post, of some thousands another one each time
    React,
    /// Posting in one's groups by turns
    CreatePost,
    /// Making groups, which are stored for good
    CreateGroup,
    /// Making a group and deleting it, both as one
    DeleteGroup,
    /// The newest 20 deals
    Deals,
    /// The newest 20 of one's own deals in a stage
    DealsFiltered,
    /// The 20 deals that are worth most in a currency
    DealsByValue,
    /// A deal, another one each time
    Deal,
    /// Searching deals for a number
    DealSearch,
    /// Searching clients, people and deals at once
    SearchAll,
    /// The board: 50 deals of each stage, and what they are worth
    Board,
    /// What the deals of each stage are worth
    PipelineReport,
    /// What came in two years, month by month
    Revenue,
    /// Adding deals
    CreateDeal,
    /// Recording payments, each with a key
    Pay,
}

impl Scenario {
    /// Every scenario that has a floor. Those that make something are the last, so that the lists keep their size.
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
    /// Those about deals.
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

    /// What is asked, in short.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign in",
            Self::Refresh => "refresh",
            Self::Me => "own account",
            Self::Users => "20 people",
            Self::Groups => "20 groups",
            Self::Group => "a group",
            Self::GlobalFeed => "20 posts for all",
            Self::Feed => "20 posts of own groups",
            Self::Home => "20 posts of any sort",
            Self::Search => "search, rare word",
            Self::SearchUncommon => "search, uncommon word",
            Self::SearchCommon => "search, common word",
            Self::React => "react",
            Self::CreatePost => "post",
            Self::CreateGroup => "make a group",
            Self::DeleteGroup => "make and delete a group",
            Self::Deals => "20 deals",
            Self::DealsFiltered => "20 own deals of a stage",
            Self::DealsByValue => "20 deals by value",
            Self::Deal => "a deal",
            Self::DealSearch => "search deals, a number",
            Self::SearchAll => "search everything",
            Self::Board => "board",
            Self::PipelineReport => "pipeline report",
            Self::Revenue => "revenue report",
            Self::CreateDeal => "make a deal",
            Self::Pay => "pay, with a key",
        }
    }

    /// What it is answered with.
    fn expected(self) -> StatusCode {
        match self {
            Self::CreatePost | Self::CreateGroup | Self::CreateDeal | Self::Pay => StatusCode::CREATED,
            Self::React | Self::DeleteGroup => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        }
    }
}

/// Something that serves, and people who are signed in on it.
pub struct Target {
    address: SocketAddr,
    people: Vec<TokenPair>,
    names: Arc<AtomicU32>,
    volume: Volume,
}

impl Target {
    /// Signs in one person for each connection that there will be, on a database that holds this much.
    ///
    /// # Errors
    /// Also for more connections than there are people in many groups.
    pub async fn sign_in(address: SocketAddr, connections: u32, volume: Volume) -> anyhow::Result<Self> {
        ensure!(connections <= BUSY, "only {BUSY} people are in many groups");
        let mut people = Vec::new();
        for person in 0..connections {
            people.push(enter(address, person).await?);
        }
        Ok(Self { address, people, names: Arc::new(AtomicU32::new(1)), volume })
    }

    /// A client for each person.
    pub async fn clients(&self, scenario: Scenario) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::new();
        for (number, tokens) in (0..).zip(&self.people) {
            clients.push(self.client(scenario, number, tokens).await?);
        }
        Ok(clients)
    }

    /// One answer.
    pub async fn sample(&self, scenario: Scenario) -> anyhow::Result<Value> {
        // With tokens of its own: a refresh token can be used once.
        let tokens = enter(self.address, 0).await?;
        self.client(scenario, 0, &tokens).await?.sample().await
    }

    async fn client(&self, scenario: Scenario, person: u32, tokens: &TokenPair) -> anyhow::Result<Client> {
        Client::open(self.address, self.act(scenario, person, tokens)?, scenario.expected()).await
    }

    fn act(&self, scenario: Scenario, person: u32, tokens: &TokenPair) -> anyhow::Result<Act> {
        let access = tokens.access.clone();
        let read = |path: &str| get(path, Some(tokens.access.as_str())).map(Act::same);
        let crm = |path: &str| read(&format!("{CRM}{path}"));
        let search = |word: &str| read(&format!("/api/community/search/?q={word}&limit=20"));
        match scenario {
            Scenario::SignIn => sign_in(person).map(Act::same),
            Scenario::Refresh => Ok(Act::Refresh(tokens.refresh.clone())),
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
            Scenario::CreateGroup => Ok(Act::Each(new_groups(self.names.clone(), access))),
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
            Scenario::CreateDeal => Ok(Act::each(move || {
                let body = r#"{"client_id":1,"title":"Made under load","value":"1200.50","currency":"EUR"}"#;
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
                Ok(Act::DeleteGroup { groups: new_groups(self.names.clone(), access.clone()), access })
            }
        }
    }
}

/// Another deal each time that is not in the trash; everybody begins somewhere else.
fn each_deal(volume: Volume, person: u32, mut ask: impl FnMut(u32) -> anyhow::Result<Ask> + Send + 'static) -> Act {
    let mut turn = person * 31;
    Act::each(move || {
        turn = (turn + 7) % volume.deals.max(1);
        let deal = turn + 1;
        ask(if deal.is_multiple_of(20) { deal - 1 } else { deal })
    })
}

/// Another group each time; everybody begins somewhere else.
fn read_groups(volume: Volume, person: u32, access: String) -> Act {
    let most = volume.groups.min(READ);
    let mut turn = person * 31;
    Act::each(move || {
        turn = (turn + 1) % most;
        get(&format!("/api/community/groups/{}/", turn + 1), Some(&access))
    })
}

/// Half of the posts are those of the person's groups, the others as many of those that are in none. When all
/// have had their turn it begins again with the other reaction, so that each request changes something.
fn react(volume: Volume, person: u32, access: String) -> anyhow::Result<Act> {
    let mut posts: Vec<u32> = volume.groups_of(person).into_iter().flat_map(|group| volume.posts_of(group)).collect();
    let open: Vec<u32> = volume.open_posts().collect();
    let step = (open.len() / posts.len().max(1)).max(1);
    posts.extend(open.into_iter().skip(usize::try_from(person)? % step).step_by(step));
    // Far from one another, one after the other: 2 to the 32nd by the golden ratio.
    posts.sort_unstable_by_key(|post| post.wrapping_mul(2_654_435_769));
    ensure!(!posts.is_empty(), "there are no posts");
    let mut turn = 0_usize;
    Ok(Act::each(move || {
        let (place, round) = (turn % posts.len(), turn / posts.len());
        turn += 1;
        let kind = if (place + round).is_multiple_of(2) { "like" } else { "love" };
        put(&format!("/api/community/posts/{}/reactions/{kind}/", posts[place]), &access)
    }))
}

/// One after the other in each of the person's groups.
fn create_posts(volume: Volume, person: u32, access: String) -> Act {
    let mut groups = volume.groups_of(person).into_iter().cycle();
    Act::each(move || {
        let group = groups.next().unwrap_or(1);
        let body = format!(r#"{{"content":"A few words that were written under load.","group":{group}}}"#);
        post("/api/community/posts/", Some(&access), body)
    })
}

/// Names are not used twice: the second would cost another attempt.
fn new_groups(names: Arc<AtomicU32>, access: String) -> Make {
    Box::new(move || {
        let number = names.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"name":"Made under load {number}","description":"One of very many."}}"#);
        post("/api/community/groups/", Some(&access), body)
    })
}

/// Signs a person in.
async fn enter(address: SocketAddr, person: u32) -> anyhow::Result<TokenPair> {
    let (status, body) = Wire::open(address).await?.fetch(sign_in(person)?).await?;
    ensure!(status == StatusCode::OK, "a sign-in was answered with {status}: {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body)?)
}

/// How often and how long a scenario is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many times on each side.
    pub runs: u32,
    /// How long each time.
    pub length: Duration,
}

/// Measures both sides of a scenario, turn by turn, so that a noisy neighbour is a neighbour of both.
///
/// # Errors
/// Also where the floor answers in another shape than the server: then it does other work.
pub async fn measure(scenario: Scenario, server: &Target, floor: &Target, plan: Plan) -> anyhow::Result<Line> {
    let (answer, expected) = (floor.sample(scenario).await?, server.sample(scenario).await?);
    let name = scenario.name();
    ensure!(alike(&answer, &expected), "{name}: the floor answers {answer}, where the server answers {expected}");

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
    let (p50_ms, p99_ms) = latency(&mut on_server, rate.median * LOAD, plan).await?;
    let ratio = rate.median / floor_rate.median;
    Ok(Line { scenario, server_per_second: rate, floor_per_second: floor_rate, ratio, p50_ms, p99_ms, refused })
}

/// Measures a side that is alone.
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
    let (p50_ms, p99_ms) = latency(&mut clients, per_second.median * LOAD, plan).await?;
    Ok(Side { per_second, p50_ms, p99_ms, refused })
}

/// How long half of the answers take at most, and all but one in a hundred, where requests come at this rate.
async fn latency(clients: &mut Vec<Client>, rate: f64, plan: Plan) -> anyhow::Result<(Spread, Spread)> {
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let latency = Latency::of(&load::open(clients, rate, plan.length).await?);
        p50.push(latency.p50);
        p99.push(latency.p99);
    }
    Ok((Spread::of(p50), Spread::of(p99)))
}

/// Do two answers have the same members, whatever their values? What is absent may be of any kind, and
/// a list is known by its first item.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value): (&String, &Value)| other.get(key).is_some_and(|known| alike(value, known));
            one.len() == other.len() && one.iter().all(same)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.first().zip(other.first()).is_none_or(|(one, other)| alike(one, other))
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
            let answer = on_floor.sample(scenario).await.unwrap();
            assert!(alike(&answer, &expected), "{scenario:?}: the floor {answer}, the server {expected}");
            let mut clients = on_floor.clients(scenario).await.unwrap();
            let length = Duration::from_millis(50);
            assert!(load::closed(&mut clients, length).await.unwrap().rate > 0.0, "{scenario:?}");
            assert!(!load::open(&mut clients, 100.0, length).await.unwrap().is_empty(), "{scenario:?}");
            assert_eq!(clients.len(), 2);
        }
    }

    #[test]
    fn answers_are_told_apart_by_their_members() {
        let answer = json!({"results": [{"id": 1, "name": "x"}], "next": null});
        assert!(alike(&answer, &json!({"results": [{"id": 2, "name": "y"}, {}], "next": "z"})));
        assert!(alike(&answer, &json!({"results": [], "next": null})));
        for other in [
            json!({"results": [{"id": 1}], "next": null}),
            json!({"results": [{"id": "1", "name": "x"}], "next": null}),
            json!({"results": [{"id": 1, "name": "x"}], "next": null, "count": 1}),
            json!([]),
        ] {
            assert!(!alike(&answer, &other), "{other}");
        }
    }
}
