//! The API reference.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use guildhall_kernel::{Error, Result};
use tokio::{sync::OnceCell, task::spawn_blocking};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::document::document;

/// The Content-Security-Policy of the API reference: only resources of this server. Inline styles are allowed because
/// the library uses them.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The API reference.
pub(crate) fn router() -> Router {
    let config = Config::new(["/api/openapi.json"]).use_base_layout().deep_linking(true);
    let reference = Router::from(SwaggerUi::new("/api/docs").config(config));
    reference.route("/api/openapi.json", get(serve_document)).route_layer(map_response(
        |mut response: Response| async {
            let policy = HeaderValue::from_static(DOCS_POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        },
    ))
}

/// The OpenAPI document. It is built when somebody asks for it: as a tree it takes several megabytes.
async fn serve_document() -> Result<Response> {
    static DOCUMENT: OnceCell<Bytes> = OnceCell::const_new();
    let build = || async {
        let json = spawn_blocking(|| serde_json::to_vec(&document())).await.map_err(Error::internal)?;
        json.map(Bytes::from).map_err(Error::internal)
    };
    let json = DOCUMENT.get_or_try_init(build).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json.clone()).into_response())
}
