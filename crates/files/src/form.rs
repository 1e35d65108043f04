//! Forms with files.

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
use guildhall_kernel::{Error, Kind, Result, background, nul, openapi::OperationInput};

use crate::{
    files::Files,
    upload::{Upload, plain_name, plain_type},
};

/// How much larger than its files a form may be, in bytes.
pub const FORM_BYTES: usize = 256 * 1024;
/// The maximum number of files in a form.
const MAX_FILES: usize = 10;
/// The maximum number of text fields in a form.
const MAX_TEXTS: usize = 20;
/// The longest text field, in characters: a post.
const MAX_TEXT: usize = 50_000;

/// A form (`multipart/form-data`) with files and text fields. Rejections are problem documents: 415, 413 for files
/// larger than [`Files::upload_bytes`], 503 for files while the disk is low on space, 400 for a malformed form.
#[derive(Debug)]
pub struct Form {
    files: Vec<(String, Upload)>,
    fields: BTreeMap<String, String>,
}

impl Form {
    /// The first file in the field with this name, with the text fields of the form.
    ///
    /// # Errors
    /// 400 with the field if it has no file.
    pub fn file(self, name: &str) -> Result<Upload> {
        let file = self.files.into_iter().find(|(field, _)| field == name);
        let (_, file) = file.ok_or_else(|| Error::field(name, "Upload a file."))?;
        Ok(Upload { fields: self.fields, ..file })
    }

    /// The text fields, and the files in their order, for forms where files are optional.
    pub fn into_parts(self) -> (BTreeMap<String, String>, Vec<Upload>) {
        (self.fields, self.files.into_iter().map(|(_, file)| file).collect())
    }
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
        let largest = files.upload_bytes();
        DefaultBodyLimit::max(largest.saturating_add(FORM_BYTES)).apply(&mut request);
        let expected = length(request.headers()).min(largest);
        let request =
            request.map(|body| Body::from_stream(ChunkedBody { body: body.into_data_stream(), pause: false }));
        let form = Multipart::from_request(request, state).await.map_err(|_| unreadable())?;
        // A body that arrives as fast as it is read would occupy a request thread until its end.
        background::run(read(form, files, expected)).await?
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Reads a form. `expected` is the expected total size of its files, for allocating memory.
async fn read(mut form: Multipart, store: Files, expected: usize) -> Result<Form> {
    let mut files = Vec::new();
    let mut remaining = store.upload_bytes();
    let mut fields = BTreeMap::new();
    let mut texts = 0;
    while let Some(field) = form.next_field().await.map_err(form_error)? {
        let name = field.name().unwrap_or_default().to_owned();
        let Some(file_name) = field.file_name().map(plain_name) else {
            texts += 1;
            if texts > MAX_TEXTS {
                return Err(Error::field(name, format!("A form may contain at most {MAX_TEXTS} text fields.")));
            }
            let text = read_text(field, &name).await?;
            if let Entry::Vacant(entry) = fields.entry(name) {
                entry.insert(text);
            }
            continue;
        };
        let content_type = plain_type(field.content_type());
        // Browsers send a file input without a selected file as an empty file without a name.
        let is_unnamed = field.file_name() == Some("");
        if !is_unnamed {
            store.check_room()?;
        }
        let bytes = read_bytes(field, remaining, expected.min(remaining)).await?.ok_or_else(too_large)?;
        remaining -= bytes.len();
        if !(is_unnamed && bytes.is_empty()) {
            if files.len() == MAX_FILES {
                return Err(Error::field(name, format!("A form may contain at most {MAX_FILES} files.")));
            }
            files.push((name, Upload { name: file_name, content_type, bytes, fields: BTreeMap::new() }));
        }
    }
    Ok(Form { files, fields })
}

/// Reads a field; `None` if it is larger than `largest`. The expected size is allocated up front, to avoid copies while
/// the buffer grows.
async fn read_bytes(mut field: Field<'_>, largest: usize, expected: usize) -> Result<Option<Bytes>> {
    let mut bytes: Vec<u8> = Vec::with_capacity(expected);
    while let Some(chunk) = field.chunk().await.map_err(form_error)? {
        if bytes.len() + chunk.len() > largest {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.into()))
}

/// The `Content-Length`; zero if it is missing.
fn length(headers: &HeaderMap) -> usize {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// A body that yields one chunk per poll, and its end separately.
///
/// multer 3.1 reports an incomplete form if one poll returns pending and the next returns all remaining chunks and the
/// end at once, as can happen when the connection and the form are read on different threads.
struct ChunkedBody {
    body: BodyDataStream,
    pause: bool,
}

impl Stream for ChunkedBody {
    type Item = std::result::Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.pause {
            self.pause = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = ready!(Pin::new(&mut self.body).poll_next(context));
        self.pause = true;
        Poll::Ready(chunk)
    }
}

async fn read_text(field: Field<'_>, name: &str) -> Result<String> {
    let too_long = || Error::field(name, format!("Ensure this field has no more than {MAX_TEXT} characters."));
    // A character has at most four bytes.
    let bytes = read_bytes(field, 4 * MAX_TEXT, 0).await?.ok_or_else(too_long)?;
    let text = String::from_utf8(bytes.into()).map_err(|_| unreadable())?;
    if text.chars().count() > MAX_TEXT {
        return Err(too_long());
    }
    if text.contains('\0') {
        return Err(nul(Some(name.to_owned())));
    }
    Ok(text)
}

fn form_error(error: MultipartError) -> Error {
    if error.status() == Kind::TooLarge.status() { too_large() } else { unreadable() }
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge, "body_too_large", "The file is larger than the limit.")
}

fn unreadable() -> Error {
    Error::new(Kind::Invalid, "parse_error", "The form is malformed or incomplete.")
}

impl OperationInput for Form {}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::post};
    use guildhall_kernel::{
        Json,
        testing::{Answer, TestClient},
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        UploadLimits,
        limits::Reserve,
        testing::{Kit, LARGEST, MOUNT},
    };

    async fn handler(form: Form) -> Result<Json<Value>> {
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
        let app = Router::new().route("/", post(handler)).with_state(kit.files.clone());
        let request = Request::post("/").header(header::CONTENT_TYPE, content_type).body(Body::from(body));
        TestClient::new(app).send_raw(request.unwrap()).await
    }

    async fn send(parts: &[String]) -> Answer {
        send_as("multipart/form-data; boundary=x", format!("{}--x--\r\n", parts.concat())).await
    }

    #[tokio::test]
    async fn the_first_file_of_the_field_is_returned_with_the_text_fields() {
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
    async fn a_form_that_arrives_between_two_polls_is_read() {
        let mut whole = Some(Bytes::from(format!("{}--x--\r\n", part("name=\"file\"; filename=\"a\"", "hello"))));
        let mut polls = 0;
        let chunks = futures_util::stream::poll_fn(move |context| {
            polls += 1;
            if polls == 1 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(whole.take().map(Ok::<_, std::convert::Infallible>))
        });
        let kit = Kit::new().await;
        let app = Router::new().route("/", post(handler)).with_state(kit.files.clone());
        let request = Request::post("/").header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        let answer = TestClient::new(app).send_raw(request.body(Body::from_stream(chunks)).unwrap()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["bytes"]), (200, &"hello".into()), "{}", answer.text);
    }

    #[tokio::test]
    async fn fault_t10_a_form_without_a_file_in_the_right_field_is_refused() {
        let other = part("name=\"other\"; filename=\"a.txt\"", "x");
        let (text, unchosen) = (part("name=\"title\"", "x"), part("name=\"file\"; filename=\"\"", ""));
        for parts in [vec![], vec![text], vec![unchosen], vec![other]] {
            let answer = send(&parts).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid"));
            assert_eq!(answer.json()["errors"]["file"], json!(["Upload a file."]));
        }
    }

    #[tokio::test]
    async fn while_the_disk_is_nearly_full_only_forms_with_files_are_refused() {
        let kit = Kit::new().await;
        let reserve = Some(Reserve { folder: "/".into(), percent: 100 });
        let limits = UploadLimits { reserve, ..UploadLimits::up_to(LARGEST) };
        let (db, clock) = (kit.db.handle(), guildhall_kernel::Clock::system());
        let files = Files::open(db, kit.store.clone(), clock, MOUNT.parse().unwrap(), limits).await;
        let handler = async |form: Form| form.into_parts().0.len().to_string();
        let app = Router::new().route("/", post(handler)).with_state(files.unwrap());
        let (text, file) = (part("name=\"title\"", "x"), part("name=\"file\"; filename=\"a\"", "x"));
        let unchosen = part("name=\"file\"; filename=\"\"", "");
        for (parts, status) in [([text.clone(), unchosen], 200), ([text, file], 503)] {
            let request = Request::post("/").header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
            let request = request.body(Body::from(format!("{}--x--\r\n", parts.concat()))).unwrap();
            assert_eq!(TestClient::new(app.clone()).send_raw(request).await.status, status, "{parts:?}");
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
    async fn other_media_types_and_malformed_forms_are_refused() {
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
    async fn text_fields_are_limited_in_number_and_length() {
        let file = part("name=\"file\"; filename=\"a\"", "hello");
        let answer = send(&[part("name=\"title\"", &"é".repeat(MAX_TEXT)), file.clone()]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let many: Vec<String> = (0..=MAX_TEXTS).map(|n| part(&format!("name=\"t{n}\""), "x")).collect();
        for parts in [
            vec![part("name=\"title\"", &"é".repeat(MAX_TEXT + 1)), file.clone()],
            vec![part("name=\"title\"", &"x".repeat(5 * MAX_TEXT)), file.clone()],
            many,
        ] {
            let answer = send(&parts).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid"), "{}", answer.text);
        }
        assert_eq!(send(&[part("name=\"title\"", "a\0b"), file]).await.code(), "nul_character");
    }
}
