//! A browser without scripts: it keeps cookies, follows redirects when asked to, and submits forms.

use std::{collections::BTreeMap, io::Write, sync::Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use scraper::{ElementRef, Html, Selector};
use tower::ServiceExt;

use crate::harness::PASSWORD;

/// A browser.
pub(crate) struct Browser {
    router: Router,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// What a browser shows.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) html: Html,
}

pub(crate) fn select<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).unwrap()).collect()
}

impl Page {
    /// The elements that a selector matches.
    pub(crate) fn find(&self, selector: &str) -> Vec<ElementRef<'_>> {
        select(&self.html, selector)
    }

    /// The text of the first element that a selector matches.
    pub(crate) fn text_of(&self, selector: &str) -> String {
        self.find(selector)
            .first()
            .map(|element| element.text().collect::<String>().trim().to_owned())
            .unwrap_or_default()
    }

    /// The target of a redirect.
    pub(crate) fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    /// The fields of the form that is sent to an address.
    fn fields(&self, action: &str) -> Vec<(String, String)> {
        let forms = self.find("form");
        let form = forms.into_iter().find(|form| form.value().attr("action") == Some(action));
        let form = form.unwrap_or_else(|| panic!("no form for {action} in {}", self.text));
        let inputs = Selector::parse("input[type=hidden]").unwrap();
        let pair = |input: ElementRef<'_>| {
            let attribute = |name| input.value().attr(name).unwrap_or_default().to_owned();
            (attribute("name"), attribute("value"))
        };
        form.select(&inputs).map(pair).collect()
    }
}

fn encode(pairs: &[(String, String)]) -> String {
    let escape = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

impl Browser {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, cookies: Mutex::default() }
    }

    /// Sends a request with the cookies, and keeps those of the response.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Page {
        let jar = self.cookies.lock().unwrap().clone();
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        request.headers_mut().entry(header::ACCEPT).or_insert("text/html,*/*;q=0.8".parse().unwrap());
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        for value in parts.headers.get_all(header::SET_COOKIE) {
            let (name, value) = value.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            let mut jar = self.cookies.lock().unwrap();
            if value.is_empty() {
                jar.remove(name)
            } else {
                jar.insert(name.to_owned(), value.to_owned())
            };
        }
        let text = String::from_utf8_lossy(&to_bytes(body, 10_000_000).await.unwrap()).into_owned();
        Page { status: parts.status, headers: parts.headers, html: Html::parse_document(&text), text }
    }

    /// Opens a page.
    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends fields without those of a form.
    pub(crate) async fn post_raw(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let pairs: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(encode(&pairs))).unwrap()).await
    }

    /// Submits a form with files, each with the name of its field, its own name and its content.
    pub(crate) async fn upload(&self, path: &str, fields: &[(&str, &str)], files: &[(&str, &str, &str)]) -> Page {
        let files: Vec<_> = files.iter().map(|(field, name, content)| (*field, *name, content.as_bytes())).collect();
        self.upload_bytes(path, fields, &files).await
    }

    /// Like [`upload`](Self::upload), with content that is no text.
    pub(crate) async fn upload_bytes(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> Page {
        let csrf = self.csrf().await;
        let mut body = Vec::new();
        for (name, value) in fields.iter().copied().chain([("csrf_token", csrf.as_str())]) {
            write!(body, "--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
        }
        for (field, name, content) in files {
            let head = format!("Content-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"");
            write!(body, "--x\r\n{head}\r\nContent-Type: text/plain\r\n\r\n").unwrap();
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--x--\r\n");
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        if fields.iter().any(|(name, _)| *name == "script") {
            request = request.header(header::ACCEPT, "application/json");
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Fills in the form of a page and submits it.
    pub(crate) async fn submit(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let mut pairs = page.fields(action);
        for (name, value) in fields {
            pairs.retain(|(known, _)| known != name);
            pairs.push(((*name).to_owned(), (*value).to_owned()));
        }
        let request = Request::post(action).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(encode(&pairs))).unwrap()).await
    }

    /// Opens a page, fills in its form and submits it.
    pub(crate) async fn fill(&self, path: &str, action: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        self.submit(&page, action, fields).await
    }

    /// Opens the page that a response redirects to.
    pub(crate) async fn follow(&self, page: &Page) -> Page {
        assert_eq!(page.status, 303, "{}", page.text);
        let path = page.location().split('#').next().unwrap();
        self.get(path).await
    }

    /// Signs a user in.
    pub(crate) async fn sign_in(&self, name: &str) {
        let page = self.fill("/login/", "/login/", &[("username", name), ("password", PASSWORD)]).await;
        assert_eq!((page.status.as_u16(), page.location()), (303, "/"), "{}", page.text);
    }

    /// The value of a cookie, by its name without prefix.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(&format!("__Host-{name}")).cloned()
    }

    /// Replaces a cookie.
    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(format!("__Host-{name}"), value.to_owned());
    }

    /// The token for scripts, as in the head of a page.
    pub(crate) async fn csrf(&self) -> String {
        let page = self.get("/menu/").await;
        page.find("meta[name=csrf]")[0].value().attr("content").unwrap().to_owned()
    }

    /// A request of a script to the API.
    pub(crate) async fn script(&self, method: Method, path: &str, body: &str, csrf: Option<&str>) -> Page {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        request = request.header(header::ACCEPT, "application/json");
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// A part of a page, as htmx asks for it.
    pub(crate) async fn part(&self, path: &str, target: &str) -> Page {
        let request = Request::get(path).header("hx-request", "true").header("hx-request-type", "partial");
        self.send(request.header("hx-target", target).body(Body::empty()).unwrap()).await
    }
}
