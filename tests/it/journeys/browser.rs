//! A driver of browsers, and a browser of somebody.

use std::{
    io::{self, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    elements::Element,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::{ParseError, Url};

use crate::server::{PASSWORD, TestServer};

/// How long a page may take to show something.
const PATIENCE: Duration = Duration::from_secs(15);
/// axe-core, which finds mistakes that make pages hard to use for people with disabilities.
const AXE: &str = include_str!("../../vendor/axe-core/axe.min.js");
const RUN_AXE: &str = "
    const done = arguments[arguments.length - 1];
    const of = (finding) => `${finding.id}: ${finding.nodes.slice(0, 3).map((node) => node.html).join(' | ')}`;
    axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations.map(of)), (error) => done([`${error}`]));";

/// The process that starts and controls browsers.
pub(crate) struct Driver {
    process: Child,
    url: String,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a driver logs of a browser.
#[derive(Debug)]
struct Log(&'static str);

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": self.0 }).to_string()))
    }
}

/// Input of a user, as the `WebDriver` specification describes it.
#[derive(Debug)]
struct Input(Value);

impl WebDriverCompatibleCommand for Input {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/actions", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "actions": [self.0] }).to_string()))
    }
}

fn program(name: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').map(|folder| format!("{folder}/{name}")).find(|path| Path::new(path).exists())
}

impl Driver {
    /// Starts a driver; `None` if Chromium or its driver is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let (Some(driver), Some(_)) = (program("chromedriver"), program("chromium")) else {
            let _ = writeln!(io::stderr(), "SKIPPED: chromium and chromedriver are not installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Self { process: command.spawn().unwrap(), url: format!("http://127.0.0.1:{port}/") };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(started.elapsed() < PATIENCE, "the driver does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(driver)
    }

    /// A browser without cookies.
    pub(crate) async fn browser(&self, server: &TestServer) -> Browser {
        self.open(server, json!({})).await
    }

    /// One that runs no scripts of pages.
    pub(crate) async fn without_scripts(&self, server: &TestServer) -> Browser {
        self.open(server, json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    /// A browser in which somebody has signed in.
    pub(crate) async fn of(&self, server: &TestServer, name: &str) -> Browser {
        let browser = self.browser(server).await;
        browser.sign_in(name).await;
        browser
    }

    async fn open(&self, server: &TestServer, preferences: Value) -> Browser {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--lang=en",
            "--window-size=1440,900",
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": preferences,
                "binary": program("chromium"),
            },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let capabilities: Capabilities = serde_json::from_value(capabilities).unwrap();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&self.url).await.unwrap();
        Browser { client, server: server.url.clone() }
    }
}

/// A browser of somebody.
pub(crate) struct Browser {
    pub(crate) client: Client,
    server: String,
}

impl Browser {
    /// Opens a page.
    pub(crate) async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.server)).await.unwrap();
    }

    pub(crate) async fn sign_in(&self, name: &str) {
        self.open("/login/").await;
        self.fill("#username", name).await;
        self.fill("#password", PASSWORD).await;
        self.click("main button[type=submit]").await;
        self.until_at("/").await;
    }

    /// The path of the page.
    pub(crate) async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    pub(crate) async fn until_at(&self, path: &str) {
        self.until(&format!("the page {path}"), async || self.path().await == path).await;
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while !holds().await {
            if started.elapsed() > PATIENCE {
                let text = self.text("body").await;
                panic!("{what} is not there after {PATIENCE:?}, at {}: {text}", self.path().await);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for an element.
    pub(crate) async fn find(&self, selector: &str) -> Element {
        match self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await {
            Ok(element) => element,
            Err(error) => panic!("{selector} at {}: {error}", self.path().await),
        }
    }

    /// Whether the scripts of the page have run.
    pub(crate) async fn runs_scripts(&self) -> bool {
        self.client.execute("return typeof window.htmx !== 'undefined'", Vec::new()).await.unwrap() == true
    }

    pub(crate) async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.unwrap().is_empty()
    }

    pub(crate) async fn click(&self, selector: &str) {
        let started = Instant::now();
        // The page may replace the element between.
        while let Err(error) = self.find(selector).await.click().await {
            assert!(started.elapsed() < PATIENCE, "{selector} at {}: {error}", self.path().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn press(&self, selector: &str, keys: &str) {
        self.find(selector).await.send_keys(keys).await.unwrap();
    }

    /// Presses a key in what has the focus. The page may replace that between.
    pub(crate) async fn press_in_focus(&self, key: &str) {
        let started = Instant::now();
        loop {
            let element = self.client.active_element().await.unwrap();
            match element.send_keys(key).await {
                Ok(()) => return,
                Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
            }
        }
    }

    /// Drags an element onto another one with the mouse.
    pub(crate) async fn drag(&self, from: &str, to: &str) {
        let script = "const { x, y, width, height } = document.querySelector(arguments[0]).getBoundingClientRect();
            return [Math.round(x + width / 2), Math.round(y + height / 2)]";
        let centre = async |selector: &str| {
            self.find(selector).await;
            self.client.execute(script, vec![json!(selector)]).await.unwrap()
        };
        let (from, to) = (centre(from).await, centre(to).await);
        let to_point = |point: &Value| json!({ "type": "pointerMove", "duration": 200, "x": point[0], "y": point[1] });
        let actions = json!([
            to_point(&from),
            { "type": "pointerDown", "button": 0 },
            to_point(&to),
            // As a hand, which never holds still: the page may have changed under the pointer.
            to_point(&json!([to[0].as_i64().unwrap() + 1, to[1]])),
            to_point(&to),
            { "type": "pointerUp", "button": 0 },
        ]);
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": actions });
        self.client.issue_cmd(Input(mouse)).await.unwrap();
    }

    /// The visible text of all elements that a selector finds.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = "return [...document.querySelectorAll(arguments[0])].map((found) => found.innerText).join('\\n')";
        let text = self.client.execute(script, vec![json!(selector)]).await.unwrap();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element shows a text.
    pub(crate) async fn until_shown(&self, selector: &str, text: &str) {
        assert!(!text.is_empty(), "every element contains an empty text");
        self.until(&format!("{text:?} in {selector}"), async || self.text(selector).await.contains(text)).await;
    }

    /// What axe-core finds wrong on the page, in a theme.
    pub(crate) async fn findings(&self, theme: &str) -> Vec<String> {
        let set = "document.documentElement.dataset.theme = arguments[0]";
        self.client.execute(set, vec![json!(theme)]).await.unwrap();
        self.client.execute(AXE, Vec::new()).await.unwrap();
        let found = self.client.execute_async(RUN_AXE, Vec::new()).await.unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// Panics if a page has logged a warning or an error since the last call, or has asked another host for something.
    pub(crate) async fn check_log(&self) {
        let log = self.client.issue_cmd(Log("browser")).await.unwrap();
        let entries = log.as_array().unwrap();
        // A form that comes back with its errors, and a session that has ended, have statuses that the browser logs.
        let is_refusal = |entry: &Value| {
            let text = entry["message"].as_str().unwrap_or_default();
            ["a status of 422", "a status of 401"].iter().any(|status| text.contains(status))
        };
        let is_wrong =
            |entry: &&Value| matches!(entry["level"].as_str(), Some("WARNING" | "SEVERE")) && !is_refusal(entry);
        let wrong: Vec<&Value> = entries.iter().filter(is_wrong).map(|entry| &entry["message"]).collect();
        assert!(wrong.is_empty(), "the console of {}: {wrong:?}", self.path().await);
        let log = self.client.issue_cmd(Log("performance")).await.unwrap();
        for entry in log.as_array().unwrap() {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let Some(url) = event["message"]["params"]["request"]["url"].as_str() else { continue };
            let is_own = ["data:", "blob:", "about:", "chrome"].iter().any(|scheme| url.starts_with(scheme));
            assert!(is_own || url.starts_with(&self.server), "a request to {url}");
        }
    }

    pub(crate) async fn close(self) {
        self.check_log().await;
        self.client.close().await.unwrap();
    }
}
