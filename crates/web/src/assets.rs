//! The style sheets, scripts and icons. They are part of the program and compressed once. Their URLs contain a hash of
//! their contents, so browsers may keep them forever.

use std::{fmt::Write, io::Write as _, sync::LazyLock};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Error, Kind, Path, Result};
use sha2::{Digest, Sha256};

/// All style sheets in one file, in the order of their layers.
const STYLE: &str = concat!(
    include_str!("../assets/css/tokens.css"),
    include_str!("../assets/css/base.css"),
    include_str!("../assets/css/shell.css"),
    include_str!("../assets/css/controls.css"),
    include_str!("../assets/css/components.css"),
    include_str!("../assets/css/community.css"),
    include_str!("../assets/css/deals.css"),
    include_str!("../assets/css/messages.css"),
    include_str!("../assets/css/rooms.css"),
    include_str!("../assets/css/pages.css"),
    include_str!("../assets/css/admin.css"),
);
/// Each file with its name, media type and content.
const FILES: [(&str, &str, &str); 14] = [
    ("app.css", "text/css; charset=utf-8", STYLE),
    ("app.js", JAVASCRIPT, include_str!("../assets/js/app.js")),
    ("board.js", JAVASCRIPT, include_str!("../assets/js/board.js")),
    ("socket.js", JAVASCRIPT, include_str!("../assets/js/socket.js")),
    ("conversation.js", JAVASCRIPT, include_str!("../assets/js/conversation.js")),
    ("room.js", JAVASCRIPT, include_str!("../assets/js/room.js")),
    ("files.js", JAVASCRIPT, include_str!("../assets/js/files.js")),
    ("push.js", JAVASCRIPT, include_str!("../assets/js/push.js")),
    ("requests.js", JAVASCRIPT, include_str!("../assets/js/requests.js")),
    ("keys.js", JAVASCRIPT, include_str!("../assets/js/keys.js")),
    ("typed.js", JAVASCRIPT, include_str!("../assets/js/typed.js")),
    ("htmx.js", JAVASCRIPT, include_str!("../vendor/htmx/htmx.min.js")),
    ("icons.svg", "image/svg+xml", include_str!("../vendor/lucide/icons.svg")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
/// The effort of the Brotli compression, of 11.
const BROTLI_QUALITY: i32 = 9;
/// The window of the Brotli compression, as a power of two in bytes.
const BROTLI_WINDOW: i32 = 20;

/// The hash of all files. The scripts import each other by relative URLs, so all share one.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (name, _, content) in FILES {
        hash.update(name);
        hash.update(content);
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
});

/// A file, uncompressed and compressed.
struct File {
    content_type: &'static str,
    plain: &'static str,
    brotli: LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>,
    gzip: LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>,
}

static ENCODED: LazyLock<Vec<(&str, File)>> = LazyLock::new(|| {
    let encode = |(name, content_type, plain): (&'static str, &'static str, &'static str)| {
        let file = File {
            content_type,
            plain,
            brotli: LazyLock::new(Box::new(|| brotli(plain))),
            gzip: LazyLock::new(Box::new(|| gzip(plain))),
        };
        (name, file)
    };
    FILES.into_iter().map(encode).collect()
});

/// Compresses a text; the result is empty if that fails.
fn brotli(text: &str) -> Bytes {
    let mut compressed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        ..brotli::enc::BrotliEncoderParams::default()
    };
    match brotli::BrotliCompress(&mut text.as_bytes(), &mut compressed, &parameters) {
        Ok(_) => compressed.into(),
        Err(_) => Bytes::new(),
    }
}

/// Compresses a text; the result is empty if that fails.
fn gzip(text: &str) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let outcome = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    outcome.map(Bytes::from).unwrap_or_default()
}

/// The URL of a file.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *HASH)
}

/// Whether the client accepts an encoding.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        name.trim() == encoding && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// Serves the service worker. It has an address without a hash, whose folder is the scope of the worker.
pub(crate) async fn push_worker() -> Response {
    let headers = [(header::CONTENT_TYPE, JAVASCRIPT), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("../assets/js/push-worker.js")).into_response()
}

/// Serves a file. A page of an earlier version gets the present content, which its browser does not keep.
pub(crate) async fn serve(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Result<Response> {
    let found = ENCODED.iter().find(|(known, _)| *known == name);
    let (_, file) = found.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Not found."))?;
    let caching = if hash == *HASH { "public, max-age=31536000, immutable" } else { "no-cache" };
    let (encoding, body) = if accepts(&headers, "br") && !file.brotli.is_empty() {
        (Some("br"), file.brotli.clone())
    } else if accepts(&headers, "gzip") && !file.gzip.is_empty() {
        (Some("gzip"), file.gzip.clone())
    } else {
        (None, Bytes::from_static(file.plain.as_bytes()))
    };
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_with_the_weight_zero_is_not_accepted() {
        let headers = |value| HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
        assert!(accepts(&headers("gzip, br;q=0.9"), "br"));
        assert!(!accepts(&headers("gzip, br;q=0"), "br"));
        assert!(!accepts(&headers("gzip"), "br"));
    }

    #[test]
    fn a_compressed_file_is_smaller() {
        assert!(!brotli(STYLE).is_empty() && brotli(STYLE).len() < STYLE.len() / 3);
        assert!(!gzip(STYLE).is_empty() && gzip(STYLE).len() < STYLE.len() / 3);
    }
}
