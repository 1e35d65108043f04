use std::{io, time::Duration};

use async_trait::async_trait;
use axum::{
    body::{Body, Bytes},
    http::Uri,
};
use guildhall_kernel::file::Store;
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long an answer may take, and each part of what it brings. The whole may take longer: a download goes
/// as fast as whoever reads it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a request is sent again that met with trouble.
const RETRIES: usize = 2;
/// What is signed for where the address names no region; servers of one's own take any.
const REGION: &str = "us-east-1";

/// Keeps files in a bucket of an object store that speaks S3.
pub struct S3Store {
    bucket: AmazonS3,
    folder: Path,
}

/// Why an object store cannot be used. The address is not shown: it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum InvalidStore {
    /// The address.
    #[error("is no address like s3://key:secret@s3.example.org/bucket?region=eu-central-1")]
    Address,
    /// What comes after the question mark.
    #[error("has parameters other than region=… and tls=on or tls=off")]
    Parameter,
    /// What the client says.
    #[error("cannot be used: {0}")]
    Client(String),
}

/// What an address says.
struct Place {
    key: String,
    secret: String,
    endpoint: String,
    bucket: String,
    folder: Path,
    region: String,
}

impl Place {
    fn parse(url: &str) -> Result<Self, InvalidStore> {
        let uri: Uri = url.parse().map_err(|_| InvalidStore::Address)?;
        if uri.scheme_str() != Some("s3") {
            return Err(InvalidStore::Address);
        }
        let authority = uri.authority().ok_or(InvalidStore::Address)?.as_str();
        let (login, host) = authority.rsplit_once('@').ok_or(InvalidStore::Address)?;
        let (key, secret) = login.split_once(':').ok_or(InvalidStore::Address)?;
        let (key, secret) = (percent_decoded(key)?, percent_decoded(secret)?);
        let path = uri.path().trim_matches('/');
        let (bucket, folder) = path.split_once('/').unwrap_or((path, ""));
        if key.is_empty() || secret.is_empty() || uri.host().is_none_or(str::is_empty) || bucket.is_empty() {
            return Err(InvalidStore::Address);
        }
        let (mut scheme, mut region) = ("https", REGION);
        for parameter in uri.query().unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("region", name)) if !name.is_empty() => region = name,
                Some(("tls", "on")) => scheme = "https",
                Some(("tls", "off")) => scheme = "http",
                _ => return Err(InvalidStore::Parameter),
            }
        }
        Ok(Self {
            key,
            secret,
            endpoint: format!("{scheme}://{host}"),
            bucket: percent_decoded(bucket)?,
            folder: Path::from_url_path(folder).map_err(|_| InvalidStore::Address)?,
            region: region.to_owned(),
        })
    }
}

/// A part of an address as it was before it was put there (RFC 3986 §2.1).
fn percent_decoded(part: &str) -> Result<String, InvalidStore> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(InvalidStore::Address) };
        let digits = [*high, *low];
        let digits = std::str::from_utf8(&digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or(InvalidStore::Address)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| InvalidStore::Address)
}

impl S3Store {
    /// A bucket, as `s3://key:secret@host:port/bucket/folder?region=eu-central-1&tls=off`; port, folder, region
    /// and `tls` may be left out. Key and secret are percent-encoded. Nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, InvalidStore> {
        let place = Place::parse(url)?;
        // Whoever is first says which cryptography the process uses; it is this one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let without_tls = place.endpoint.starts_with("http://");
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECTING)
            .with_read_timeout(PATIENCE)
            .with_timeout_disabled()
            .with_allow_http(without_tls)
            // Which there need not be, then.
            .with_no_system_certificates(without_tls);
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let bucket = AmazonS3Builder::new()
            .with_endpoint(place.endpoint)
            .with_virtual_hosted_style_request(false)
            .with_region(place.region)
            .with_bucket_name(place.bucket)
            .with_access_key_id(place.key)
            .with_secret_access_key(place.secret)
            .with_client_options(client)
            .with_retry(retry)
            // Not every server knows how to remove several at once.
            .with_disable_bulk_delete(true)
            .build();
        let bucket = bucket.map_err(|error| InvalidStore::Client(error.to_string()))?;
        Ok(Self { bucket, folder: place.folder })
    }

    fn place(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }
}

#[async_trait]
impl Store for S3Store {
    async fn put(&self, name: &str, content: Bytes, content_type: &str) -> io::Result<()> {
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, content_type.to_owned().into());
        let payload = PutPayload::from_bytes(content);
        let options = PutOptions::from(attributes);
        self.bucket.put_opts(&self.place(name), payload, options).await?;
        Ok(())
    }

    async fn get(&self, name: &str) -> io::Result<Body> {
        let found = self.bucket.get(&self.place(name)).await?;
        Ok(Body::from_stream(found.into_stream()))
    }

    async fn delete(&self, name: &str) -> io::Result<()> {
        match self.bucket.delete(&self.place(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_everything() {
        let place = Place::parse("s3://key:secret@s3.example.org/bucket").unwrap();
        assert_eq!((place.key.as_str(), place.secret.as_str()), ("key", "secret"));
        assert_eq!((place.endpoint.as_str(), place.bucket.as_str()), ("https://s3.example.org", "bucket"));
        assert_eq!((place.folder.as_ref(), place.region.as_str()), ("", "us-east-1"));

        let url = "s3://AK%2FID:s%40c%2Fr%3At+=@127.0.0.1:9000/files/a/b/?region=eu-central-1&tls=off";
        let place = Place::parse(url).unwrap();
        assert_eq!((place.key.as_str(), place.secret.as_str()), ("AK/ID", "s@c/r:t+="));
        assert_eq!((place.endpoint.as_str(), place.bucket.as_str()), ("http://127.0.0.1:9000", "files"));
        assert_eq!((place.folder.as_ref(), place.region.as_str()), ("a/b", "eu-central-1"));
        let place = Place::parse("s3://key:secret@[::1]:9000/bucket?tls=on").unwrap();
        assert_eq!(place.endpoint, "https://[::1]:9000");
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused_without_its_secret() {
        for url in [
            "",
            "bucket",
            "https://key:hunter2@s3.example.org/bucket",
            "s3://s3.example.org/bucket",
            "s3://key@s3.example.org/bucket",
            "s3://:hunter2@s3.example.org/bucket",
            "s3://key:@s3.example.org/bucket",
            "s3://key:hunter2@s3.example.org",
            "s3://key:hunter2@s3.example.org/",
            "s3://key:hunter2@/bucket",
            "s3://key:hunter2%@s3.example.org/bucket",
            "s3://key:hunter2%+f@s3.example.org/bucket",
            "s3://key:hunter2%ff@s3.example.org/bucket",
            "s3://key:hunter2@s3.example.org/bucket/..",
            "s3://key:hunter2@s3.example.org/bucket?tls=hunter2",
            "s3://key:hunter2@s3.example.org/bucket?region=",
            "s3://key:hunter2@s3.example.org/bucket?hunter2",
        ] {
            let told = S3Store::new(url).err().map(|error| error.to_string());
            assert!(told.as_ref().is_some_and(|told| !told.contains("hunter2")), "{url}: {told:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_is_not_there_is_told_without_its_secret() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        for tls in ["on", "off"] {
            let told = match S3Store::new(&format!("s3://key:hunter2@{address}/bucket?tls={tls}")) {
                Ok(store) => store.check().await.unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
