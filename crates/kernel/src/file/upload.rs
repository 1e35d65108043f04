use std::{
    collections::{BTreeMap, btree_map::Entry},
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{
        DefaultBodyLimit, FromRef, FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
    http::{HeaderMap, header},
};
use futures_util::Stream;

use super::Files;
use crate::{Error, Kind, Result, background, extract::nul};

/// How much larger than its file a form may be, in bytes.
pub const FORM_BYTES: usize = 64 * 1024;
/// How many files a form may hold.
const MOST_FILES: usize = 10;
/// How many texts a form may hold beside its file.
const MOST_TEXTS: usize = 20;
/// The longest of them, in characters.
const LONGEST_TEXT: usize = 10_000;
/// The longest name of a file, in characters.
const LONGEST_NAME: usize = 200;
/// What a file is called that came without a name.
const NAMELESS: &str = "file";
/// What nothing is known of.
const UNKNOWN: &str = "application/octet-stream";

/// A form (`multipart/form-data`) with a file in it, and perhaps texts beside it. What cannot be read
/// is refused with a problem document: 415, 413 for files that are larger than
/// [`Files::upload_bytes`], 503 where there is no room for uploads, 400.
#[derive(Debug)]
pub struct Form {
    files: Vec<(String, Upload)>,
    fields: BTreeMap<String, String>,
}

impl Form {
    /// The file in the field of this name, with the texts beside it; of several the first.
    ///
    /// # Errors
    /// 400 with the field, where no file was sent in it.
    pub fn file(self, name: &str) -> Result<Upload> {
        let file = self.files.into_iter().find(|(field, _)| field == name);
        let (_, file) = file.ok_or_else(|| Error::field(name, "Send a file in this field."))?;
        Ok(Upload { fields: self.fields, ..file })
    }
}

/// A file that somebody has uploaded.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What the file is called, without folders or control characters; never empty.
    pub name: String,
    /// What the sender says that it is, without parameters; nothing has been looked at.
    pub content_type: String,
    /// What is in it.
    pub bytes: Bytes,
    /// The texts beside it; of several by one name the first.
    pub fields: BTreeMap<String, String>,
}

impl<S> FromRequest<S> for Form
where
    Files: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(mut request: Request, state: &S) -> Result<Self> {
        if !is_form(request.headers()) {
            return Err(Error::new(
                Kind::UnsupportedMediaType,
                "unsupported_media_type",
                "The body must be a form with a file, with Content-Type: multipart/form-data.",
            ));
        }
        let files = Files::from_ref(state);
        files.check_room()?;
        let largest = files.upload_bytes();
        DefaultBodyLimit::max(largest.saturating_add(FORM_BYTES)).apply(&mut request);
        let expected = length(request.headers()).min(largest);
        let request =
            request.map(|body| Body::from_stream(PieceByPiece { body: body.into_data_stream(), pause: false }));
        let form = Multipart::from_request(request, state).await.map_err(|_| unreadable())?;
        // A body that comes in as fast as it is read would keep a thread that answers requests until it is through.
        background::run(read(form, largest, expected)).await?
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Reads a form whose files are about as large as expected together.
async fn read(mut form: Multipart, largest: usize, expected: usize) -> Result<Form> {
    let mut files = Vec::new();
    let mut left = largest;
    let mut fields = BTreeMap::new();
    let mut texts = 0;
    while let Some(field) = form.next_field().await.map_err(refused)? {
        let name = field.name().unwrap_or_default().to_owned();
        let Some(file_name) = field.file_name().map(plain_name) else {
            texts += 1;
            if texts > MOST_TEXTS {
                return Err(Error::field(name, format!("A form may hold {MOST_TEXTS} texts.")));
            }
            let text = read_text(field, &name).await?;
            if let Entry::Vacant(place) = fields.entry(name) {
                place.insert(text);
            }
            continue;
        };
        let content_type = plain_type(field.content_type());
        // So a browser sends a field in which no file was chosen.
        let unnamed = field.file_name() == Some("");
        let bytes = read_bytes(field, left, expected.min(left)).await?.ok_or_else(too_large)?;
        left -= bytes.len();
        if !(unnamed && bytes.is_empty()) {
            if files.len() == MOST_FILES {
                return Err(Error::field(name, format!("A form may hold {MOST_FILES} files.")));
            }
            files.push((name, Upload { name: file_name, content_type, bytes, fields: BTreeMap::new() }));
        }
    }
    Ok(Form { files, fields })
}

/// Reads a field; none where there is more in it than it may hold. What is expected is asked of the memory at once: what
/// grows bit by bit is copied again and again.
async fn read_bytes(mut field: Field<'_>, largest: usize, expected: usize) -> Result<Option<Bytes>> {
    let mut bytes: Vec<u8> = Vec::with_capacity(expected);
    while let Some(chunk) = field.chunk().await.map_err(refused)? {
        if bytes.len() + chunk.len() > largest {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.into()))
}

/// How long the body is that the headers announce.
fn length(headers: &HeaderMap) -> usize {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// A body of which one piece comes at a time, and its end by itself.
///
/// The parser (multer 3.1) takes a form to be cut off where it finds nothing of it, looks once more and then finds all of
/// it at once, as can happen where one thread reads the connection and another one the form.
struct PieceByPiece {
    body: BodyDataStream,
    pause: bool,
}

impl Stream for PieceByPiece {
    type Item = std::result::Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.pause {
            self.pause = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(Pin::new(&mut self.body).poll_next(context));
        self.pause = true;
        Poll::Ready(piece)
    }
}

async fn read_text(field: Field<'_>, name: &str) -> Result<String> {
    let too_long = || Error::field(name, format!("Ensure this field has no more than {LONGEST_TEXT} characters."));
    // A character has four bytes at most.
    let bytes = read_bytes(field, 4 * LONGEST_TEXT, 0).await?.ok_or_else(too_long)?;
    let text = String::from_utf8(bytes.into()).map_err(|_| unreadable())?;
    if text.chars().count() > LONGEST_TEXT {
        return Err(too_long());
    }
    if text.contains('\0') {
        return Err(nul(Some(name.to_owned())));
    }
    Ok(text)
}

fn refused(error: MultipartError) -> Error {
    if error.status() == Kind::TooLarge.status() { too_large() } else { unreadable() }
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge, "body_too_large", "The file is larger than the limit.")
}

fn unreadable() -> Error {
    Error::new(Kind::Invalid, "parse_error", "The form could not be read to its end.")
}

/// The last part of a path of either kind, without what cannot be seen or turns the reading round.
fn plain_name(claimed: &str) -> String {
    let last = claimed.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = last.chars().filter(|c| !c.is_control() && !turns(*c)).take(LONGEST_NAME).collect();
    match name.trim() {
        "" | "." | ".." => NAMELESS.to_owned(),
        name => name.to_owned(),
    }
}

/// A media type without its parameters, in lower case.
fn plain_type(claimed: Option<&str>) -> String {
    let essence = claimed.and_then(|claimed| claimed.split(';').next()).unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_word = |word: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !word.is_empty() && word.len() <= 100 && word.bytes().all(allowed)
    };
    match essence.split_once('/') {
        Some((kind, sort)) if is_word(kind) && is_word(sort) => essence,
        _ => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_last_part_of_a_path_and_never_empty() {
        for (claimed, plain) in [
            ("notes.txt", "notes.txt"),
            ("C:\\Users\\anna\\notes.txt", "notes.txt"),
            ("../../etc/passwd", "passwd"),
            ("Grüße 日本.pdf", "Grüße 日本.pdf"),
            ("a\u{0}b\r\nc\u{7f}.txt", "abc.txt"),
            ("exe.\u{202e}gpj", "exe.gpj"),
            (" ", "file"),
            ("", "file"),
            ("..", "file"),
            ("folder/", "file"),
        ] {
            assert_eq!(plain_name(claimed), plain, "{claimed:?}");
        }
        assert_eq!(plain_name(&"é".repeat(500)).chars().count(), 200);
    }

    #[test]
    fn a_type_is_two_words_or_unknown() {
        assert_eq!(plain_type(Some("text/plain; charset=utf-8")), "text/plain");
        assert_eq!(plain_type(Some("Image/SVG+XML")), "image/svg+xml");
        for odd in [None, Some(""), Some("text"), Some("text/"), Some("a/b/c"), Some("a b/c"), Some("ä/ö")] {
            assert_eq!(plain_type(odd), "application/octet-stream", "{odd:?}");
        }
        assert_eq!(plain_type(Some(&format!("a/{}", "b".repeat(500)))), "application/octet-stream");
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod request_tests {
    use axum::{Router, routing::post};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Json,
        file::tests::{Kit, LARGEST},
        testing::{Answer, TestClient},
    };

    async fn take(form: Form) -> Result<Json<Value>> {
        let Upload { name, content_type, bytes, fields } = form.file("file")?;
        let bytes = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Json(json!({"name": name, "type": content_type, "bytes": bytes, "fields": fields})))
    }

    /// One part of a form.
    fn part(disposition: &str, content: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    }

    async fn send_as(content_type: &str, body: String) -> Answer {
        let kit = Kit::new().await;
        let app = Router::new().route("/", post(take)).with_state(kit.files.clone());
        let request = Request::post("/").header(header::CONTENT_TYPE, content_type).body(Body::from(body));
        TestClient::new(app).send_raw(request.unwrap()).await
    }

    async fn send(parts: &[String]) -> Answer {
        send_as("multipart/form-data; boundary=x", format!("{}--x--\r\n", parts.concat())).await
    }

    #[tokio::test]
    async fn the_file_of_the_field_that_is_asked_for_is_taken_with_the_texts_beside_it() {
        let answer = send(&[
            part("name=\"title\"", "Grüße"),
            part("name=\"file\"; filename=\"\"", ""),
            part("name=\"other\"; filename=\"c.txt\"", "another field"),
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a/b.txt\"\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n"
                .to_owned(),
            part("name=\"file\"; filename=\"c.txt\"", "later"),
            part("name=\"title\"", "again"),
        ])
        .await;
        let expected = json!({"name": "b.txt", "type": "text/plain", "bytes": "hello",
            "fields": {"title": "Grüße"}});
        assert_eq!(answer.json(), expected, "{}", answer.text);
    }

    #[tokio::test]
    async fn a_form_that_comes_between_two_looks_is_read() {
        let mut whole = Some(Bytes::from(format!("{}--x--\r\n", part("name=\"file\"; filename=\"a\"", "hello"))));
        let mut looks = 0;
        let pieces = futures_util::stream::poll_fn(move |context| {
            looks += 1;
            if looks == 1 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(whole.take().map(Ok::<_, std::convert::Infallible>))
        });
        let kit = Kit::new().await;
        let app = Router::new().route("/", post(take)).with_state(kit.files.clone());
        let request = Request::post("/").header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        let answer = TestClient::new(app).send_raw(request.body(Body::from_stream(pieces)).unwrap()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["bytes"]), (200, &"hello".into()), "{}", answer.text);
    }

    #[tokio::test]
    async fn fault_t10_a_form_without_a_file_in_the_right_field_is_refused() {
        let other = part("name=\"other\"; filename=\"a.txt\"", "x");
        let (text, unchosen) = (part("name=\"title\"", "x"), part("name=\"file\"; filename=\"\"", ""));
        for parts in [vec![], vec![text], vec![unchosen], vec![other]] {
            let answer = send(&parts).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid"));
            assert_eq!(answer.json()["errors"]["file"], json!(["Send a file in this field."]));
        }
    }

    #[tokio::test]
    async fn a_file_may_be_as_large_as_the_limit_and_no_larger() {
        let file = |size| [part("name=\"file\"; filename=\"a\"", &"x".repeat(size))];
        assert_eq!(send(&file(LARGEST)).await.status, 200);
        for size in [LARGEST + 1, LARGEST + 2 * FORM_BYTES] {
            let answer = send(&file(size)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "body_too_large"), "{size}");
        }
    }

    #[tokio::test]
    async fn what_is_no_form_or_a_broken_one_is_refused() {
        for content_type in ["application/json", "text/plain", "multipart/mixed; boundary=x", ""] {
            let answer = send_as(content_type, "{}".to_owned()).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (415, "unsupported_media_type"));
        }
        let whole = part("name=\"file\"; filename=\"a\"", "hello");
        for (content_type, body) in [
            ("multipart/form-data", whole.clone()),
            ("multipart/form-data; boundary=x", String::new()),
            ("multipart/form-data; boundary=x", whole[..whole.len() - 4].to_owned()),
            ("multipart/form-data; boundary=x", whole.clone()),
            ("multipart/form-data; boundary=y", whole.clone()),
        ] {
            let answer = send_as(content_type, body.clone()).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "parse_error"), "{body:?}");
        }
    }

    #[tokio::test]
    async fn texts_are_few_and_short() {
        let file = part("name=\"file\"; filename=\"a\"", "hello");
        let answer = send(&[part("name=\"title\"", &"é".repeat(LONGEST_TEXT)), file.clone()]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let many: Vec<String> = (0..=MOST_TEXTS).map(|n| part(&format!("name=\"t{n}\""), "x")).collect();
        for parts in [
            vec![part("name=\"title\"", &"é".repeat(LONGEST_TEXT + 1)), file.clone()],
            vec![part("name=\"title\"", &"x".repeat(5 * LONGEST_TEXT)), file.clone()],
            many,
        ] {
            let answer = send(&parts).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid"), "{}", answer.text);
        }
        assert_eq!(send(&[part("name=\"title\"", "a\0b"), file]).await.code(), "nul_character");
    }
}
