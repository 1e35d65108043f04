//! Fills an empty installation with a small community.
//!
//! The content is data: people, and steps that are requests to the API of the server, each by the person who would make
//! it. They run in this process, with a clock that they set, so that the content seems to have grown over weeks.

mod auth;
mod clock;
mod content;
mod placeholders;

use anyhow::{Context, bail};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
};
use guildhall_accounts::{NewUser, WeakPassword};
use guildhall_kernel::{Auth, Error, PageQuery, Roles, Timestamp, UserId};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use tower::ServiceExt;

use self::{
    auth::ById,
    clock::SetClock,
    content::{Person, Step},
    placeholders::Placeholders,
};
use crate::{settings::Settings, wiring::Services};

/// The name in the steps of the superuser who had an account before. If there is nobody, their steps are left out, and
/// those that depend on them.
const YOU: &str = "you";
/// The largest answer of a step.
const MAX_ANSWER: usize = 1 << 20;

/// Somebody who can sign in.
#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) username: &'static str,
    /// What they are: `teacher`.
    pub(crate) part: &'static str,
}

/// Fills an empty installation. Everybody in it has the same password. Returns those who are worth signing in as.
///
/// # Errors
/// The installation is not empty, the password is not accepted, or a step fails.
pub(crate) async fn fill(settings: &Settings, password: &str) -> anyhow::Result<Vec<SignIn>> {
    let mut settings = settings.clone();
    settings.limits.enabled = false;
    // Nothing is sent: invitations are over their limit, the preferences of everybody turn off other emails, and services
    // that are alone send no push messages. No text contains a link, so there is no page to fetch, neither now nor by a
    // server that runs later.
    settings.mail.limits.invitations_per_address = 0;
    settings.mail.limits.reminders_per_address = 0;
    settings.community.link_previews = false;
    let start = Timestamp::now();
    let clock = SetClock::new(start);
    let services = Services::open_alone(&settings, clock.clock()).await?;
    let outcome = Box::pin(fill_services(&settings, &services, clock, start, password)).await;
    services.db.close().await?;
    outcome
}

async fn fill_services(
    settings: &Settings,
    services: &Services,
    clock: SetClock,
    start: Timestamp,
    password: &str,
) -> anyhow::Result<Vec<SignIn>> {
    let you = superuser_of_empty(services).await?;
    let (people, steps) = (content::people()?, content::steps()?);
    let url = settings.expected_url()?;
    let auth = Auth::new(ById(services.accounts.clone()));
    let router = services.router_with_auth(settings, &url, auth)?;
    let mut demo = Demo { services, router, clock, start, placeholders: Placeholders::new(start) };
    if let Some((id, username)) = &you {
        demo.placeholders.keep(YOU, json!({ "id": id, "username": username }));
    }
    for (index, person) in people.iter().enumerate() {
        let created = demo.create_person(person, password).await;
        created.map_err(|error| if index == 0 { error } else { half_filled(&error) })?;
    }
    demo.run_all(&steps, you.is_some()).await.map_err(|error| half_filled(&error))?;
    let sign_ins = people.iter().filter_map(|person| Some(SignIn { username: person.username, part: person.part? }));
    Ok(sign_ins.collect())
}

fn half_filled(error: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}; the database is half filled now: delete it before you try again")
}

/// The superuser of an installation in which there is nothing else, if it has one.
async fn superuser_of_empty(services: &Services) -> anyhow::Result<Option<(UserId, String)>> {
    const REFUSAL: &str = "the demo needs an empty installation";
    let accounts = services.accounts.accounts(PageQuery::new(1, 2)).await?.results;
    if accounts.len() > 1 {
        bail!("{REFUSAL}, but there are several accounts");
    }
    let account = accounts.into_iter().next();
    if account.as_ref().is_some_and(|account| !account.user.roles.superuser) {
        bail!("{REFUSAL}, but there is an account that is not a superuser");
    }
    if services.community.has_groups().await.map_err(Error::from)? {
        bail!("{REFUSAL}, but there are groups");
    }
    if services.deals.tenancy.has_organizations().await.map_err(Error::from)? {
        bail!("{REFUSAL}, but there are organizations");
    }
    Ok(account.map(|account| (account.user.id, account.user.username)))
}

/// A demo that is being created.
struct Demo<'a> {
    services: &'a Services,
    router: Router,
    clock: SetClock,
    /// The time that the steps count back from.
    start: Timestamp,
    placeholders: Placeholders,
}

impl Demo<'_> {
    async fn create_person(&mut self, person: &Person, password: &str) -> anyhow::Result<()> {
        self.clock.set(self.start - content::duration(person.ago)?);
        let new = NewUser {
            username: person.username.to_owned(),
            email: format!("{}@example.org", person.username),
            password: password.to_owned(),
            first_name: person.first_name.to_owned(),
            last_name: person.last_name.to_owned(),
        };
        let has = |role| person.roles.contains(&role);
        let roles = Roles { teacher: has("teacher"), staff: has("staff"), superuser: has("superuser") };
        let created = self.services.accounts.create_user(new, roles, WeakPassword::Reject).await;
        let account = created.map_err(Error::from).map_err(|error| {
            let messages: Vec<_> = error.fields().values().flatten().map(ToString::to_string).collect();
            let reason = if messages.is_empty() { error.to_string() } else { messages.join(" ") };
            anyhow::anyhow!("cannot create the account {}: {reason}", person.username)
        })?;
        self.placeholders.keep(person.username, json!({ "id": account.user.id, "username": person.username }));
        let name = format!("{} {}", person.first_name, person.last_name);
        self.request(person.username, "PATCH", "/api/auth/me/", &json!({ "display_name": name })).await?;
        self.set_emails(person.username, &json!(false)).await
    }

    async fn set_emails(&mut self, who: &str, sends_emails: &Value) -> anyhow::Result<()> {
        let preferences = json!({ "sends_emails": sends_emails });
        self.request(who, "PATCH", "/api/notifications/preferences/", &preferences).await?;
        Ok(())
    }

    async fn run_all(&mut self, steps: &[Step], with_you: bool) -> anyhow::Result<()> {
        if !with_you {
            return self.run_steps(steps, vec![YOU]).await;
        }
        // The superuser is a real person, who keeps their choice but gets no emails about the demo.
        let preferences = self.request(YOU, "GET", "/api/notifications/preferences/", &Value::Null).await?;
        self.set_emails(YOU, &json!(false)).await?;
        let outcome = self.run_steps(steps, Vec::new()).await;
        self.set_emails(YOU, &preferences["sends_emails"]).await?;
        outcome
    }

    /// Runs the steps that do not depend on what is absent.
    async fn run_steps<'s>(&mut self, steps: &'s [Step], mut absent: Vec<&'s str>) -> anyhow::Result<()> {
        for step in steps {
            if absent.iter().any(|name| step.mentions(name)) {
                absent.extend(step.name);
                continue;
            }
            self.clock.set(self.start - content::duration(step.ago)?);
            self.run(step).await.with_context(|| format!("the step of {} {} ago failed", step.who, step.ago))?;
        }
        match self.services.events.failed().await? {
            0 => Ok(()),
            failed => bail!("{failed} events could not be handled"),
        }
    }

    async fn run(&mut self, step: &Step) -> anyhow::Result<()> {
        let (method, path) = step.request.split_once(' ').context("a request has a method and a path")?;
        let path = self.placeholders.fill_text(path)?;
        let body = self.placeholders.fill(&step.body)?;
        let answer = self.request(step.who, method, &path, &body).await?;
        if let Some(name) = step.name {
            self.placeholders.keep(name, answer);
        }
        // At once, so that a notification has the time of its cause.
        self.services.events.dispatch().await?;
        self.services.notifications.notifier().deliver().await.map_err(Error::from)?;
        Ok(())
    }

    /// Sends a request as a person and returns the JSON of the answer.
    async fn request(&self, who: &str, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let user = self.placeholders.fill_text(&format!("{{{who}}}"))?;
        let mut request = Request::builder()
            .method(method)
            .uri(utf8_percent_encode(path, CONTROLS).to_string())
            .header(header::AUTHORIZATION, format!("Bearer {user}"));
        let content = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        let Ok(response) = self.router.clone().oneshot(request.body(content)?).await;
        let status = response.status();
        let answer = to_bytes(response.into_body(), MAX_ANSWER).await?;
        if !status.is_success() {
            bail!("{method} {path} with {body} was answered with {status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? })
    }
}
