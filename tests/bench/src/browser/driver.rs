//! Browsers over `WebDriver`.

use std::{
    env,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fantoccini::{
    Client, ClientBuilder, Locator,
    elements::Element,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::sleep};
use url::{ParseError, Url};

/// How long a page may take to show something.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The process that starts and controls browsers.
pub(super) struct Driver {
    process: Child,
    url: String,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command of the Chrome `DevTools` protocol without parameters.
#[derive(Debug)]
struct DevTools(&'static str);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(json!({ "cmd": self.0, "params": {} }).to_string()))
    }
}

fn program(name: &str) -> anyhow::Result<String> {
    let path = env::var("PATH").unwrap_or_default();
    let found = path.split(':').map(|folder| format!("{folder}/{name}")).find(|path| Path::new(path).exists());
    found.with_context(|| format!("{name} is not installed (Debian has it in chromium and chromium-driver)"))
}

impl Driver {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program("chromedriver")?);
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Self { process: command.spawn()?, url: format!("http://127.0.0.1:{port}/") };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            ensure!(started.elapsed() < PATIENCE, "the driver does not start");
            sleep(POLL_INTERVAL).await;
        }
        Ok(driver)
    }

    /// A browser in which somebody has signed in.
    pub(super) async fn browser(&self, server: &str, name: &str, password: &str) -> anyhow::Result<Browser> {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--lang=en",
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments, "binary": program("chromium")? },
        });
        let capabilities: Capabilities = serde_json::from_value(capabilities)?;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&self.url).await?;
        let browser = Browser { client, server: server.to_owned() };
        browser.open("/login/").await?;
        browser.find("#username").await?.send_keys(name).await?;
        browser.find("#password").await?.send_keys(password).await?;
        browser.find("main button[type=submit]").await?.click().await?;
        browser.find(".sidebar").await.with_context(|| format!("{name} cannot sign in"))?;
        Ok(browser)
    }
}

/// A browser of somebody.
pub(super) struct Browser {
    client: Client,
    server: String,
}

impl Browser {
    pub(super) async fn open(&self, path: &str) -> anyhow::Result<()> {
        Ok(self.client.goto(&format!("{}{path}", self.server)).await?)
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        Ok(self.client.close().await?)
    }

    /// Empties the cache, so that the next page loads everything.
    pub(super) async fn forget_cache(&self) -> anyhow::Result<()> {
        self.client.issue_cmd(DevTools("Network.clearBrowserCache")).await?;
        Ok(())
    }

    pub(super) async fn resize(&self, width: u32, height: u32) -> anyhow::Result<()> {
        // The size of a window includes its frame.
        self.client.set_window_size(width, height).await?;
        let inner = self.run("return [window.innerWidth, window.innerHeight]", Vec::new()).await?;
        let missing =
            |index: usize, wanted: u32| u64::from(wanted).saturating_sub(inner[index].as_u64().unwrap_or_default());
        let (right, bottom) = (u32::try_from(missing(0, width))?, u32::try_from(missing(1, height))?);
        Ok(self.client.set_window_size(width + right, height + bottom).await?)
    }

    pub(super) async fn screenshot(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }

    /// Runs a script in the page and returns its result.
    pub(super) async fn run(&self, script: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        Ok(self.client.execute(script, arguments).await?)
    }

    /// Like [`run`](Self::run), for a script that calls its last argument with the result.
    pub(super) async fn run_async(&self, script: &str) -> anyhow::Result<Value> {
        Ok(self.client.execute_async(script, Vec::new()).await?)
    }

    pub(super) async fn press(&self, selector: &str, keys: &str) -> anyhow::Result<()> {
        Ok(self.find(selector).await?.send_keys(keys).await?)
    }

    pub(super) async fn find(&self, selector: &str) -> anyhow::Result<Element> {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await;
        found.with_context(|| format!("{selector} is not on the page"))
    }

    /// Waits until a script returns something.
    pub(super) async fn until(&self, script: &str) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            let value = self.run(script, Vec::new()).await?;
            if !value.is_null() {
                return Ok(value);
            }
            if started.elapsed() > PATIENCE {
                bail!("nothing after {PATIENCE:?}: {script}");
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}
