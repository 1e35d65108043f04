use std::{io, time::Duration};

use async_trait::async_trait;
use axum::{
    body::{Body, Bytes},
    http::Uri,
};
use guildhall_files::Store;
use object_store::{
    Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use crate::percent::percent_decoded;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the response header and each read of the body. There is no limit on the whole: a download is as slow as
/// its client.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_RETRIES: usize = 2;
/// Used for signing if the URL names no region. Self-hosted servers accept any.
const DEFAULT_REGION: &str = "us-east-1";

/// Stores files in an S3 bucket.
pub struct S3Store {
    bucket: AmazonS3,
    folder: Path,
}

/// Why an object store cannot be used. The URL is not shown: it contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum InvalidStore {
    /// The URL is malformed.
    #[error("must be a URL like s3://key:secret@s3.example.org/bucket?region=eu-central-1")]
    Address,
    /// The query string has an unknown parameter.
    #[error("has unknown parameters; region=…, tls=on and tls=off are allowed")]
    Parameter,
    /// The client rejects the configuration.
    #[error("cannot be used: {0}")]
    Client(String),
}

/// The parts of a store URL.
struct StoreUrl {
    key: String,
    secret: String,
    endpoint: String,
    bucket: String,
    folder: Path,
    region: String,
}

impl StoreUrl {
    fn parse(url: &str) -> Result<Self, InvalidStore> {
        let uri: Uri = url.parse().map_err(|_| InvalidStore::Address)?;
        if uri.scheme_str() != Some("s3") {
            return Err(InvalidStore::Address);
        }
        let authority = uri.authority().ok_or(InvalidStore::Address)?.as_str();
        let (login, host) = authority.rsplit_once('@').ok_or(InvalidStore::Address)?;
        let (key, secret) = login.split_once(':').ok_or(InvalidStore::Address)?;
        let decode = |part| percent_decoded(part).ok_or(InvalidStore::Address);
        let (key, secret) = (decode(key)?, decode(secret)?);
        let path = uri.path().trim_matches('/');
        let (bucket, folder) = path.split_once('/').unwrap_or((path, ""));
        if key.is_empty() || secret.is_empty() || uri.host().is_none_or(str::is_empty) || bucket.is_empty() {
            return Err(InvalidStore::Address);
        }
        let (mut scheme, mut region) = ("https", DEFAULT_REGION);
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
            bucket: decode(bucket)?,
            folder: Path::from_url_path(folder).map_err(|_| InvalidStore::Address)?,
            region: region.to_owned(),
        })
    }
}

impl S3Store {
    /// Opens a bucket: `s3://key:secret@host:port/bucket/folder?region=eu-central-1&tls=off`. Port, folder, region and
    /// `tls` are optional; key and secret are percent-encoded. Sends nothing yet.
    pub fn new(url: &str) -> Result<Self, InvalidStore> {
        let url = StoreUrl::parse(url)?;
        // The process-wide provider. Fails if one is already installed, which is fine: it is this one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let without_tls = url.endpoint.starts_with("http://");
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT)
            .with_timeout_disabled()
            .with_allow_http(without_tls)
            // The system may not have any, and they are not needed.
            .with_no_system_certificates(without_tls);
        let retry = RetryConfig { max_retries: MAX_RETRIES, retry_timeout: READ_TIMEOUT, ..RetryConfig::default() };
        let bucket = AmazonS3Builder::new()
            .with_endpoint(url.endpoint)
            .with_virtual_hosted_style_request(false)
            .with_region(url.region)
            .with_bucket_name(url.bucket)
            .with_access_key_id(url.key)
            .with_secret_access_key(url.secret)
            .with_client_options(client)
            .with_retry(retry)
            // Not every server supports DeleteObjects.
            .with_disable_bulk_delete(true)
            .build();
        let bucket = bucket.map_err(|error| InvalidStore::Client(error.to_string()))?;
        Ok(Self { bucket, folder: url.folder })
    }

    fn path(&self, name: &str) -> Path {
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
        self.bucket.put_opts(&self.path(name), payload, options).await?;
        Ok(())
    }

    async fn get(&self, name: &str) -> io::Result<Body> {
        let object = self.bucket.get(&self.path(name)).await?;
        Ok(Body::from_stream(object.into_stream()))
    }

    async fn delete(&self, name: &str) -> io::Result<()> {
        match self.bucket.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_parsed() {
        let url = StoreUrl::parse("s3://key:secret@s3.example.org/bucket").unwrap();
        assert_eq!((url.key.as_str(), url.secret.as_str()), ("key", "secret"));
        assert_eq!((url.endpoint.as_str(), url.bucket.as_str()), ("https://s3.example.org", "bucket"));
        assert_eq!((url.folder.as_ref(), url.region.as_str()), ("", "us-east-1"));

        let text = "s3://AK%2FID:s%40c%2Fr%3At+=@127.0.0.1:9000/files/a/b/?region=eu-central-1&tls=off";
        let url = StoreUrl::parse(text).unwrap();
        assert_eq!((url.key.as_str(), url.secret.as_str()), ("AK/ID", "s@c/r:t+="));
        assert_eq!((url.endpoint.as_str(), url.bucket.as_str()), ("http://127.0.0.1:9000", "files"));
        assert_eq!((url.folder.as_ref(), url.region.as_str()), ("a/b", "eu-central-1"));
        let url = StoreUrl::parse("s3://key:secret@[::1]:9000/bucket?tls=on").unwrap();
        assert_eq!(url.endpoint, "https://[::1]:9000");
    }

    #[tokio::test]
    async fn errors_for_invalid_urls_do_not_contain_the_secret() {
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
            let message = S3Store::new(url).err().map(|error| error.to_string());
            assert!(message.as_ref().is_some_and(|message| !message.contains("hunter2")), "{url}: {message:?}");
        }
    }

    #[tokio::test]
    async fn errors_for_an_unreachable_store_do_not_contain_the_secret() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        for tls in ["on", "off"] {
            let message = match S3Store::new(&format!("s3://key:hunter2@{address}/bucket?tls={tls}")) {
                Ok(store) => store.check().await.unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
