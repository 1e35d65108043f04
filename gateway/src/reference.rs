//! The API reference.

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::document::document;

/// The Content-Security-Policy of the API reference: only resources of this server. Inline styles are allowed because
/// the library uses them.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The API reference.
pub(crate) fn router() -> Router {
    let config = Config::new(["/api/openapi.json"]).use_base_layout().deep_linking(true);
    let reference = SwaggerUi::new("/api/docs").url("/api/openapi.json", document()).config(config);
    Router::from(reference).route_layer(map_response(|mut response: Response| async {
        let policy = HeaderValue::from_static(DOCS_POLICY);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }))
}
