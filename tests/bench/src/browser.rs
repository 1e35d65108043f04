//! Measures pages in Chromium: the server with the demo, and what a browser makes of its pages.

mod driver;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use fantoccini::key::Key;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::driver::{Browser, Driver};
use crate::{
    document::{self, Document, Section, Table},
    figures::{Latency, Spread, short},
    fill::{self, Databases},
    process::{self, Process},
    report,
};

const PASSWORD: &str = "measured by a benchmark";
/// Two people of the demo, who write to each other: a superuser, and somebody who sells.
const ADMIN: &str = "maren";
const SELLER: &str = "tomasz";
/// Somebody with whom the superuser has a conversation.
const FRIEND: &str = "aoife";

/// What is measured: a name, who opens the page, and its path.
const PAGES: [(&str, &str, &str); 12] = [
    ("start page", ADMIN, "/"),
    ("post", ADMIN, "/posts/1/"),
    ("groups", ADMIN, "/groups/"),
    ("group", ADMIN, "/groups/1/"),
    ("conversations", ADMIN, "/messaging/"),
    ("conversation", ADMIN, "/messaging/conversation/{friend}/"),
    ("room", ADMIN, "/rooms/2/"),
    ("notifications", ADMIN, "/notifications/"),
    ("search", ADMIN, "/search/?q=seed"),
    ("board of deals", SELLER, "/deals/1/board/"),
    ("deal", SELLER, "/deals/1/deals/1/"),
    ("admin panel", ADMIN, "/admin/"),
];

/// Pictures: the name of the file, who opens the page, its path, width, height and theme.
const PICTURES: [(&str, &str, &str, u32, u32, &str); 8] = [
    ("home", ADMIN, "/", 1440, 900, "light"),
    ("conversation", ADMIN, "/messaging/conversation/{friend}/", 1440, 900, "dark"),
    ("room", ADMIN, "/rooms/2/", 1440, 900, "light"),
    ("board", SELLER, "/deals/1/board/", 1440, 900, "light"),
    ("admin", ADMIN, "/admin/", 1440, 900, "light"),
    ("home-phone", ADMIN, "/", 390, 844, "dark"),
    ("room-phone", ADMIN, "/rooms/2/", 390, 844, "light"),
    ("deal-phone", SELLER, "/deals/1/deals/1/", 390, 844, "light"),
];

/// How often each page is opened.
const VISITS: u32 = 7;
/// How many messages are typed.
const MESSAGES: u32 = 50;

/// The times of the page, what was transferred for it, and how much of it has moved while it loaded. `responseEnd` is
/// not used: it includes how long the browser takes to read.
const TIMINGS: &str = "
    const done = arguments[arguments.length - 1];
    const seen = (type) => new Promise((resolve) => {
        const entries = [];
        new PerformanceObserver((list) => entries.push(...list.getEntries())).observe({ type, buffered: true });
        setTimeout(() => resolve(entries), 400);
    });
    Promise.all([seen('largest-contentful-paint'), seen('layout-shift')]).then(([paints, shifts]) => {
        const page = performance.getEntriesByType('navigation')[0];
        const all = [page, ...performance.getEntriesByType('resource')];
        done({
            server_ms: page.responseStart - page.requestStart,
            kib: all.reduce((sum, entry) => sum + entry.transferSize, 0) / 1024,
            requests: all.length,
            paint_ms: paints.length ? paints[paints.length - 1].startTime : null,
            shift: shifts.filter((shift) => !shift.hadRecentInput).reduce((sum, shift) => sum + shift.value, 0),
        });
    });";
/// Notes when Enter is pressed.
const NOTE_ENTER: &str = "document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') window.sentAt = performance.timeOrigin + performance.now();
}, true);";
/// Notes when a text is in the log, after the next frame was drawn.
const NOTE_SEEN: &str = "new MutationObserver(() => {
    const log = document.getElementById('log');
    if (!window.awaited || window.seenAt || !log.textContent.includes(window.awaited)) return;
    window.seenAt = -1;
    requestAnimationFrame(() => { window.seenAt = performance.timeOrigin + performance.now(); });
}).observe(document.body, { childList: true, subtree: true, characterData: true });";

/// The id of the first person in a list.
const FIRST_PERSON: &str = "const links = [...document.querySelectorAll('main a')];
    const ids = links.map((link) => /^\\/people\\/(\\d+)\\/$/.exec(link.getAttribute('href'))).filter(Boolean);
    return ids.length ? ids[0][1] : null;";

/// Measures the pages of the demo in Chromium
#[derive(Args)]
pub struct Options {
    /// The server; by default `guildhall` in the folder of this program
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Write the results as Markdown to `performance` in this folder
    #[arg(long, value_name = "PATH")]
    pub docs: Option<PathBuf>,
    /// Store pictures of pages in this folder
    #[arg(long, value_name = "PATH")]
    pub pictures: Option<PathBuf>,
}

/// One visit of a page.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Visit {
    server_ms: f64,
    kib: f64,
    requests: u32,
    paint_ms: Option<f64>,
    shift: f64,
}

/// A page.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What it is.
    pub name: &'static str,
    /// From the request to the first byte of the response.
    pub server_ms: Spread,
    /// Until the largest element of the page was drawn.
    pub paint_ms: Spread,
    /// How much of the page has moved while it loaded, the worst of the visits: 0 is nothing.
    pub shift: f64,
    /// What the first visit has transferred, with style sheets, scripts and pictures.
    pub first_kib: f64,
    /// In how many requests.
    pub first_requests: u32,
    /// What a later visit has transferred.
    pub later_kib: f64,
}

/// All results, and the conditions of the measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The command line.
    pub command: String,
    /// The machine.
    pub machine: String,
    /// The database.
    pub database: String,
    /// The pages.
    pub lines: Vec<Line>,
    /// From Enter in one browser until another one has drawn the message.
    pub message: Latency,
}

impl Options {
    /// Measures everything.
    ///
    /// # Errors
    /// Among others, if Chromium or its driver is not installed.
    pub async fn measure(&self, program: &Path) -> anyhow::Result<Results> {
        let folder = tempfile::tempdir()?;
        let url = Databases::first(None, folder.path())?;
        process::fill_demo(program, folder.path(), &url, PASSWORD)?;
        let database = fill::describe_at(&url).await?;
        let server = Process::server(program, folder.path(), &url).await?;
        let address = format!("http://{}", server.address());
        let driver = Driver::start().await?;
        let admin = driver.browser(&address, ADMIN, PASSWORD).await?;
        let seller = driver.browser(&address, SELLER, PASSWORD).await?;
        let ids = [id_of(&admin).await?, id_of(&seller).await?];
        let browser_of = |name: &str| if name == ADMIN { &admin } else { &seller };
        admin.open(&format!("/people/?q={FRIEND}")).await?;
        let friend = admin.until(FIRST_PERSON).await?;
        let path_of = |path: &str| path.replace("{friend}", friend.as_str().unwrap_or_default());
        for browser in [&admin, &seller] {
            browser.resize(1440, 900).await?;
        }
        let mut lines = Vec::new();
        for (name, person, path) in PAGES {
            writeln!(io::stderr(), "{name} …")?;
            lines.push(visit(browser_of(person), name, &path_of(path)).await?);
        }
        writeln!(io::stderr(), "messages …")?;
        let message = write_messages(&admin, &seller, ids).await?;
        if let Some(folder) = &self.pictures {
            fs::create_dir_all(folder)?;
            for (name, person, path, width, height, theme) in PICTURES {
                writeln!(io::stderr(), "picture of {name} …")?;
                let browser = browser_of(person);
                browser.resize(width, height).await?;
                browser.open(&path_of(path)).await?;
                let set = "document.documentElement.dataset.theme = arguments[0]";
                browser.run(set, vec![json!(theme)]).await?;
                browser.run_async("setTimeout(arguments[arguments.length - 1], 500)").await?;
                fs::write(folder.join(format!("{name}.png")), browser.screenshot().await?)?;
            }
        }
        admin.close().await?;
        seller.close().await?;
        Ok(Results { command: report::command(), machine: report::machine(), database, lines, message })
    }
}

/// The id of the person who has signed in.
async fn id_of(browser: &Browser) -> anyhow::Result<i64> {
    browser.open("/menu/").await?;
    let link = browser.find(".me-card").await?.attr("href").await?.context("the menu has no link to the profile")?;
    Ok(link.trim_matches('/').rsplit('/').next().unwrap_or_default().parse()?)
}

async fn visit(browser: &Browser, name: &'static str, path: &str) -> anyhow::Result<Line> {
    browser.forget_cache().await?;
    let mut visits = Vec::new();
    for _ in 0..VISITS {
        browser.open(path).await?;
        let visit = browser.run_async(TIMINGS).await?;
        visits.push(serde_json::from_value::<Visit>(visit).with_context(|| format!("the timings of {name}"))?);
    }
    let (first, later) = visits.split_first().context("there was no visit")?;
    let last = later.last().context("there was one visit")?;
    Ok(Line {
        name,
        server_ms: Spread::of(later.iter().map(|visit| visit.server_ms).collect()),
        paint_ms: Spread::of(later.iter().filter_map(|visit| visit.paint_ms).collect()),
        shift: visits.iter().map(|visit| visit.shift).fold(0.0, f64::max),
        first_kib: first.kib,
        first_requests: first.requests,
        later_kib: last.kib,
    })
}

/// One types, the other one reads.
async fn write_messages(from: &Browser, to: &Browser, [from_id, to_id]: [i64; 2]) -> anyhow::Result<Latency> {
    from.open(&format!("/messaging/conversation/{to_id}/")).await?;
    to.open(&format!("/messaging/conversation/{from_id}/")).await?;
    from.run(NOTE_ENTER, Vec::new()).await?;
    to.run(NOTE_SEEN, Vec::new()).await?;
    let mut histogram = Histogram::<u64>::new(3)?;
    for number in 0..MESSAGES {
        let text = format!("Typed by a browser, number {number}.");
        to.run("window.awaited = arguments[0]; window.seenAt = null", vec![json!(text)]).await?;
        from.press("#m", &format!("{text}{}", Key::Enter)).await?;
        let seen = to.until("return window.seenAt > 0 ? window.seenAt : null").await?;
        let sent = from.until("return window.sentAt || null").await?;
        let micros = seen.as_f64().zip(sent.as_f64()).map(|(seen, sent)| ((seen - sent) * 1000.0).max(1.0));
        // Below an hour of microseconds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        histogram.record(micros.context("a time is missing")?.min(3.6e9) as u64)?;
    }
    Ok(Latency::of(&histogram))
}

impl document::Results for Results {
    fn document(&self) -> Document {
        let mut table = Table::new(&[
            "page",
            "server ms (min..max)",
            "largest paint ms (min..max)",
            "layout shift",
            "first KiB",
            "first requests",
            "later KiB",
        ]);
        for line in &self.lines {
            table.push([
                line.name.to_owned(),
                line.server_ms.to_string(),
                line.paint_ms.to_string(),
                format!("{:.3}", line.shift),
                short(line.first_kib),
                line.first_requests.to_string(),
                short(line.later_kib),
            ]);
        }
        let notes = vec![
            format!("medians of {} visits, of which the cache has style sheets and scripts", VISITS - 1),
            "layout shift: the worst visit; first: with an empty cache".to_owned(),
        ];
        let pages = Section { title: "Pages of the demo", table, notes };
        let mut table = Table::new(&["messages", "p50 ms", "p99 ms", "max ms"]);
        let Latency { p50, p99, max } = self.message;
        table.push([MESSAGES.to_string(), short(p50), short(p99), short(max)]);
        let notes = vec!["from Enter in one browser until another one has drawn the message".to_owned()];
        let typing = Section { title: "From typed to seen", table, notes };
        Document {
            name: "browser",
            title: "Pages in a browser",
            database: self.database.clone(),
            command: self.command.clone(),
            conditions: vec![("machine", self.machine.clone())],
            sections: vec![pages, typing],
            plots: Vec::new(),
        }
    }
}
