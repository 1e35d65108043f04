//! The requests that a scenario sends to the peer.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{Arc, atomic::AtomicU32},
};

use anyhow::{Context, ensure};
use hyper::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    client::{Ask, Client, RequestSource, TokenPair, Wire, get, post, put},
    fill::Volume,
    scenario::Scenario,
    target::{new_groups, read_messages, send_messages},
};

/// The password of all users.
const PASSWORD: &str = "Guild-seed-2026";
/// The largest page of the peer.
const PAGE: u32 = 100;
/// The number of pages from which groups are chosen.
const GROUP_PAGES: u32 = 10;
/// The number of pages from which a user's posts are chosen, of those in the user's groups and of all that are visible.
const POST_PAGES: u32 = 3;
/// A word in the descriptions of almost half of the groups.
const COMMON: &str = "lantern";
/// Hits one group of a hundred if there are 10,000: names end with a number.
const UNCOMMON: &str = "%2097";

/// The peer with signed-in users.
pub struct PeerTarget {
    address: SocketAddr,
    people: Vec<Person>,
    /// Public groups, newest first.
    groups: Vec<Row>,
    deals: Option<Deals>,
    names: Arc<AtomicU32>,
}

/// A signed-in user.
struct Person {
    number: u32,
    id: i64,
    access: String,
    /// The groups that the user has joined.
    groups: Vec<i64>,
    /// Posts that the user sees. About half of them are in these groups.
    posts: Vec<i64>,
    /// The people with whom the user exchanges messages, newest first.
    partners: Vec<i64>,
}

/// The organization with the deals.
#[derive(Clone)]
struct Deals {
    path: String,
    client: i64,
    ids: Range<i64>,
}

impl PeerTarget {
    /// Signs in users, makes each of them a member of about as many groups as on the server, and of the organization.
    pub(super) async fn prepare(address: SocketAddr, connections: u32, volume: Volume) -> anyhow::Result<Self> {
        let mut people = Vec::new();
        for number in 0..connections {
            people.push(Person::prepare(address, number, volume).await?);
        }
        let first = people.first().context("there are no connections")?;
        let mut session = Session::open(address, &first.access).await?;
        let groups = session.pages("/api/community/groups/?page_size=100", GROUP_PAGES).await?;
        let groups = groups.into_iter().filter(|group| !group.is_private).collect();
        let deals = if volume.deals > 0 { Some(Deals::prepare(address, &people).await?) } else { None };
        Ok(Self { address, people, groups, deals, names: Arc::new(AtomicU32::new(1)) })
    }

    /// A client for each user; `None` if the peer has nothing like the scenario.
    pub async fn clients(&self, scenario: Scenario) -> anyhow::Result<Option<Vec<Client>>> {
        let mut sources = Vec::new();
        for person in &self.people {
            let Some(source) = self.requests(scenario, person).await? else { return Ok(None) };
            sources.push(source);
        }
        // Connected last: until its first request, a connection occupies one of the peer's few threads.
        let mut clients = Vec::new();
        for source in sources {
            clients.push(Client::open(self.address, source, scenario.expected()).await?);
        }
        Ok(Some(clients))
    }

    async fn requests(&self, scenario: Scenario, person: &Person) -> anyhow::Result<Option<RequestSource>> {
        let access = person.access.clone();
        let read = |path: &str| get(path, Some(person.access.as_str())).map(RequestSource::same);
        let search = |word: &str| read(&format!("/api/community/groups/?search={word}&page_size=20"));
        let source = match scenario {
            Scenario::SignIn => RequestSource::same(sign_in(person.number)?),
            // New tokens, because a refresh token can be used only once.
            Scenario::Refresh => {
                RequestSource::Refresh(request_tokens(self.address, person.number).await?.pair.refresh)
            }
            Scenario::Me => read("/api/auth/me/")?,
            Scenario::Users => read("/api/users/?page_size=20")?,
            Scenario::Groups => read("/api/community/groups/?page_size=20")?,
            Scenario::Group => self.read_groups(person.number, access),
            // The peer has no list of only public posts. This one also has those in the caller's private groups.
            Scenario::GlobalFeed | Scenario::Home => read("/api/community/posts/?limit=20")?,
            Scenario::Feed => read("/api/community/posts/?joined_groups=true&limit=20")?,
            // The peer searches only groups, no posts.
            Scenario::Search => search(self.rare_word()?)?,
            Scenario::SearchUncommon => search(UNCOMMON)?,
            Scenario::SearchCommon => search(COMMON)?,
            Scenario::React => react(person)?,
            Scenario::CreatePost => create_posts(person.groups.clone(), access)?,
            Scenario::CreateGroup => RequestSource::Each(new_groups(self.names.clone(), access)),
            Scenario::DeleteGroup => {
                RequestSource::DeleteGroup { groups: new_groups(self.names.clone(), access.clone()), access }
            }
            Scenario::UnreadCount => read("/messaging/api/unread-count/")?,
            Scenario::Inbox => read("/messaging/api/conversations/?limit=20")?,
            Scenario::History => read_messages(person.partners.clone(), access)?,
            Scenario::SendMessage => send_messages(person.partners.clone(), access)?,
            _ => return self.deals.clone().map_or(Ok(None), |deals| deals.requests(scenario, person)),
        };
        Ok(Some(source))
    }

    /// A different group each time. Each user starts at a different one.
    fn read_groups(&self, person: u32, access: String) -> RequestSource {
        let mut groups: Vec<i64> = self.groups.iter().map(|group| group.id).collect();
        let start = usize::try_from(person * 31).unwrap_or(0) % groups.len().max(1);
        groups.rotate_left(start);
        let mut groups = groups.into_iter().cycle();
        RequestSource::each(move || {
            let group = groups.next().context("there are no public groups")?;
            get(&format!("/api/community/groups/{group}/"), Some(&access))
        })
    }

    /// The number at the end of a group's name.
    fn rare_word(&self) -> anyhow::Result<&str> {
        let newest = self.groups.first().context("there are no public groups")?;
        newest.name.rsplit(' ').next().context("the group has no name")
    }
}

impl Person {
    async fn prepare(address: SocketAddr, number: u32, volume: Volume) -> anyhow::Result<Self> {
        let SignedIn { pair: TokenPair { access, .. }, user } = request_tokens(address, number).await?;
        let mut session = Session::open(address, &access).await?;
        // Ids start at 1 in an empty database. Every fifth group is private: it only receives a request.
        for group in volume.groups_of(number) {
            session.create(&format!("/api/community/groups/{group}/join/"), "{}".to_owned()).await?;
        }
        let groups = session.pages("/api/community/groups/?joined=true&page_size=100", GROUP_PAGES).await?;
        let mut posts = Vec::new();
        for filter in ["", "joined_groups=true&"] {
            let path = format!("/api/community/posts/?{filter}limit={PAGE}");
            posts.extend(session.pages(&path, POST_PAGES).await?.iter().map(|post| post.id));
        }
        posts.sort_unstable();
        posts.dedup();
        // Shuffle with Fibonacci hashing: 2^64 divided by the golden ratio, as a signed number.
        posts.sort_by_key(|post| post.wrapping_mul(-7_046_029_254_386_353_131));
        let inbox: Inbox =
            exchange(&mut session.wire, get("/messaging/api/conversations/?limit=20", Some(&access))?).await?;
        let partners = inbox.conversations.into_iter().map(|conversation| conversation.other_user.id).collect();
        let groups = groups.iter().map(|group| group.id).collect();
        Ok(Self { number, id: user.id, access, groups, posts, partners })
    }
}

impl Deals {
    async fn prepare(address: SocketAddr, people: &[Person]) -> anyhow::Result<Self> {
        const ORGANIZATIONS: &str = "/api/crm/organizations/";
        // The second user is its owner.
        let owner = request_tokens(address, 1).await?;
        let mut session = Session::open(address, &owner.pair.access).await?;
        let organizations = session.list(ORGANIZATIONS).await?.results;
        let path = format!("{ORGANIZATIONS}{}/", organizations.first().context("the peer has no organization")?.id);
        let client = session.list(&format!("{path}clients/?page_size=1")).await?.results;
        let client = client.first().context("the peer has no clients")?.id;
        for person in people {
            let mut own = Session::open(address, &person.access).await?;
            if own.list(ORGANIZATIONS).await?.results.is_empty() {
                session.create(&format!("{path}members/"), format!(r#"{{"user_id":{}}}"#, person.id)).await?;
            }
        }
        let newest = session.list(&format!("{path}deals/?page_size={PAGE}")).await?;
        let count = newest.count.context("the list of deals has no count")?;
        let last_page = count.div_ceil(PAGE);
        let oldest = session.list(&format!("{path}deals/?page_size={PAGE}&page={last_page}")).await?;
        let (newest, oldest) = newest.results.first().zip(oldest.results.last()).context("there are no deals")?;
        let ids = oldest.id..newest.id + 1;
        ensure!(ids.end - ids.start == i64::from(count), "the ids of the deals have gaps");
        Ok(Self { path, client, ids })
    }

    fn requests(self, scenario: Scenario, person: &Person) -> anyhow::Result<Option<RequestSource>> {
        let Self { path, client, .. } = self.clone();
        let access = person.access.clone();
        let read = |query: &str| get(&format!("{path}deals/?page_size=20{query}"), Some(access.as_str()));
        let source = match scenario {
            Scenario::Deals => RequestSource::same(read("")?),
            // The deals of all members, because the peer filters only by stage.
            Scenario::DealsFiltered => RequestSource::same(read("&stage=proposal")?),
            Scenario::Deal => self.each(person, move |deal| get(&format!("{path}deals/{deal}/"), Some(&access))),
            Scenario::CreateDeal => RequestSource::each(move || {
                let deal = r#""title":"Created under load","value":"1200.50","currency":"EUR""#;
                post(&format!("{path}deals/"), Some(&access), format!(r#"{{"client_id":{client},{deal}}}"#))
            }),
            // Without an idempotency key, which the peer does not know.
            Scenario::Pay => self.each(person, move |deal| {
                let body = r#"{"amount":"1","method":"bank","received_on":"2026-11-01"}"#.to_owned();
                post(&format!("{path}deals/{deal}/payments/"), Some(&access), body)
            }),
            _ => return Ok(None),
        };
        Ok(Some(source))
    }

    /// A different deal each time. Each user starts at a different one.
    fn each(&self, person: &Person, mut ask: impl FnMut(i64) -> anyhow::Result<Ask> + Send + 'static) -> RequestSource {
        let Range { start, end } = self.ids;
        let mut turn = i64::from(person.number) * 31;
        RequestSource::each(move || {
            turn = (turn + 7) % (end - start);
            ask(start + turn)
        })
    }
}

/// After one round it starts again with another reaction, so that each request is a change.
fn react(person: &Person) -> anyhow::Result<RequestSource> {
    let (access, posts) = (person.access.clone(), person.posts.clone());
    ensure!(!posts.is_empty(), "there are no posts");
    let mut turn = 0_usize;
    Ok(RequestSource::each(move || {
        let (index, round) = (turn % posts.len(), turn / posts.len());
        turn += 1;
        put(&format!("/api/community/posts/{}/reactions/like{round}/", posts[index]), &access)
    }))
}

/// Posts in each of the groups in turn.
fn create_posts(groups: Vec<i64>, access: String) -> anyhow::Result<RequestSource> {
    ensure!(!groups.is_empty(), "a user has joined no group");
    let mut groups = groups.into_iter().cycle();
    Ok(RequestSource::each(move || {
        let group = groups.next().unwrap_or(1);
        let body = format!(r#"{{"content":"A few words written under load.","group":{group}}}"#);
        post("/api/community/posts/", Some(&access), body)
    }))
}

/// The sign-in request of the user with this number, counted from 0.
fn sign_in(person: u32) -> anyhow::Result<Ask> {
    let body = format!(r#"{{"username":"user{:05}","password":"{PASSWORD}"}}"#, person + 1);
    post("/api/auth/login/", None, body)
}

/// The response to a sign-in.
#[derive(Deserialize)]
struct SignedIn {
    #[serde(flatten)]
    pair: TokenPair,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: i64,
}

async fn request_tokens(address: SocketAddr, person: u32) -> anyhow::Result<SignedIn> {
    exchange(&mut Wire::open(address).await?, sign_in(person)?).await
}

/// A page of a list.
#[derive(Deserialize)]
struct Listing {
    /// Only of lists with numbered pages.
    count: Option<u32>,
    next: Option<String>,
    results: Vec<Row>,
}

/// What is of interest in the objects of a list.
#[derive(Deserialize)]
struct Row {
    id: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    is_private: bool,
}

/// The newest conversations.
#[derive(Deserialize)]
struct Inbox {
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Conversation {
    other_user: User,
}

/// A connection of a signed-in user.
struct Session {
    wire: Wire,
    access: String,
}

impl Session {
    async fn open(address: SocketAddr, access: &str) -> anyhow::Result<Self> {
        Ok(Self { wire: Wire::open(address).await?, access: access.to_owned() })
    }

    async fn list(&mut self, path: &str) -> anyhow::Result<Listing> {
        exchange(&mut self.wire, get(path, Some(&self.access))?).await
    }

    /// The first pages of a list.
    async fn pages(&mut self, path: &str, pages: u32) -> anyhow::Result<Vec<Row>> {
        let (mut rows, mut next) = (Vec::new(), Some(path.to_owned()));
        for _ in 0..pages {
            let Some(path) = next else { break };
            let page = self.list(&path).await?;
            rows.extend(page.results);
            // The peer responds with a whole URL.
            next = page.next.and_then(|url| url.find("/api/").map(|start| url[start..].to_owned()));
        }
        Ok(rows)
    }

    async fn create(&mut self, path: &str, body: String) -> anyhow::Result<()> {
        exchange::<serde::de::IgnoredAny>(&mut self.wire, post(path, Some(&self.access), body)?).await?;
        Ok(())
    }
}

async fn exchange<T: DeserializeOwned>(wire: &mut Wire, request: Ask) -> anyhow::Result<T> {
    let target = request.uri().clone();
    let (status, body) = wire.fetch(request).await?;
    let text = || String::from_utf8_lossy(&body);
    let expected = [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED];
    ensure!(expected.contains(&status), "unexpected response {status} of the peer to {target}: {}", text());
    serde_json::from_slice(&body).with_context(|| format!("unexpected response of the peer to {target}"))
}
