//! A server and the requests that a scenario sends to it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::ensure;
use hyper::StatusCode;
use serde_json::Value;

use crate::{
    client::{Ask, Client, Make, RequestSource, TokenPair, Wire, get, get_page, patch, post, put, sign_in},
    fill::{BUSY, COMMON, RARE, UNCOMMON, Volume},
    scenario::Scenario,
};

/// The number of groups that are read in turn.
const GROUPS_READ: u32 = 1_000;
/// The path of the organization with the deals.
const CRM: &str = "/api/crm/organizations/1/";

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

    /// A client for each user, some of whose requests are writes; `None` if the scenario is not a read.
    pub async fn mixed_clients(&self, scenario: Scenario) -> anyhow::Result<Option<Vec<Client>>> {
        let Some(write) = Write::beside(scenario) else { return Ok(None) };
        let mut clients = Vec::new();
        for (number, (client, tokens)) in (0..).zip(self.clients(scenario).await?.into_iter().zip(&self.people)) {
            let (source, expected) = match write {
                Write::Account => (rename(tokens.access.clone()), StatusCode::OK),
                Write::Scenario(write) => (self.requests(write, number, tokens)?, write.expected()),
            };
            clients.push(client.with_writes(number, source, expected));
        }
        Ok(Some(clients))
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
        let page = |path: &str| get_page(path, tokens).map(RequestSource::same);
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
            Scenario::UnreadCount => read("/messaging/api/unread-count/"),
            Scenario::Inbox => read("/messaging/api/conversations/?limit=20"),
            Scenario::History => read_messages(self.volume.conversations().partners_of(person), access),
            Scenario::SendMessage => send_messages(self.volume.conversations().partners_of(person), access),
            Scenario::HomePage => page("/"),
            Scenario::PostPage => read_post_pages(self.volume, person, tokens.clone()),
            Scenario::GroupsPage => page("/groups/"),
            Scenario::InboxPage => page("/messaging/"),
            Scenario::ConversationPage => {
                let (people, tokens) = (self.volume.conversations().partners_of(person), tokens.clone());
                each_of(people, move |person| get_page(&format!("/messaging/conversation/{person}/"), &tokens))
            }
            Scenario::BoardPage => page("/deals/1/board/"),
            Scenario::SearchPage => page(&format!("/search/?q={UNCOMMON}")),
            Scenario::DeleteGroup => {
                Ok(RequestSource::DeleteGroup { groups: new_groups(self.names.clone(), access.clone()), access })
            }
        }
    }
}

/// The writes of a mixed load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// A change of the caller's name.
    Account,
    /// The requests of another scenario.
    Scenario(Scenario),
}

impl Write {
    /// What changes the tables that a scenario reads; `None` if the scenario is not a read.
    fn beside(scenario: Scenario) -> Option<Self> {
        match scenario {
            Scenario::Me | Scenario::Users => Some(Self::Account),
            _ if !scenario.is_read() => None,
            _ if Scenario::DEALS.contains(&scenario) => Some(Self::Scenario(Scenario::CreateDeal)),
            _ if Scenario::MESSAGES.contains(&scenario) => Some(Self::Scenario(Scenario::SendMessage)),
            _ => Some(Self::Scenario(Scenario::CreatePost)),
        }
    }
}

/// Changes the caller's name, to another one each time.
fn rename(access: String) -> RequestSource {
    let mut turn = 0_u32;
    RequestSource::each(move || {
        turn += 1;
        patch("/api/auth/me/", &access, format!(r#"{{"first_name":"Name {turn}"}}"#))
    })
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

/// The pages of public posts in turn. Each user starts at a different one.
fn read_post_pages(volume: Volume, person: u32, tokens: TokenPair) -> anyhow::Result<RequestSource> {
    let mut posts: Vec<i64> = volume.open_posts().map(i64::from).collect();
    ensure!(!posts.is_empty(), "there are no public posts");
    let first = usize::try_from(person * 31)? % posts.len();
    posts.rotate_left(first);
    each_of(posts, move |post| get_page(&format!("/posts/{post}/"), &tokens))
}

/// The newest messages with each of these people in turn.
pub(crate) fn read_messages(people: Vec<i64>, access: String) -> anyhow::Result<RequestSource> {
    each_of(people, move |person| get(&format!("/messaging/api/messages/{person}/?limit=50"), Some(&access)))
}

/// A message to each of these people in turn.
pub(crate) fn send_messages(people: Vec<i64>, access: String) -> anyhow::Result<RequestSource> {
    each_of(people, move |person| {
        let body = format!(r#"{{"receiver_id":{person},"content":"A few words written under load."}}"#);
        post("/messaging/api/send/", Some(&access), body)
    })
}

/// A request for each of these ids in turn.
fn each_of(
    ids: Vec<i64>,
    mut ask: impl FnMut(i64) -> anyhow::Result<Ask> + Send + 'static,
) -> anyhow::Result<RequestSource> {
    ensure!(!ids.is_empty(), "there is nothing to ask for");
    let mut ids = ids.into_iter().cycle();
    Ok(RequestSource::each(move || ask(ids.next().unwrap_or(1))))
}

/// Group names are unique, because a duplicate would need another attempt.
pub(crate) fn new_groups(names: Arc<AtomicU32>, access: String) -> Make {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_beside_reads_change_what_is_read() {
        let beside = |write| Some(Write::Scenario(write));
        assert_eq!(Write::beside(Scenario::Users), Some(Write::Account));
        assert_eq!(Write::beside(Scenario::Deal), beside(Scenario::CreateDeal));
        assert_eq!(Write::beside(Scenario::Groups), beside(Scenario::CreatePost));
        assert_eq!(Write::beside(Scenario::Inbox), beside(Scenario::SendMessage));
        for write in [Scenario::SignIn, Scenario::Pay, Scenario::React] {
            assert_eq!(Write::beside(write), None);
        }
    }
}
