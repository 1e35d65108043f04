//! The OpenAPI document of the whole API.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, OpenApi as Document, RefOr, Response,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{health, mounts};

/// The content type of all errors (RFC 9457).
const PROBLEM_JSON: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Guildhall",
        description = "A community back end. The trailing slash of a path is optional. \
                       Errors are problem documents (RFC 9457) with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    modifiers(&Schemes),
    security(("bearer" = []), ("token" = [])),
)]
struct Root;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token: `Authorization: Bearer …`"));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        let token = ApiKeyValue::with_description("Authorization", "A user token: `Authorization: Token …`");
        components.add_security_scheme("token", SecurityScheme::ApiKey(ApiKey::Header(token)));
    }
}

/// The OpenAPI 3.1 document of the whole API.
pub fn document() -> Document {
    let mut document = merged();
    for item in document.paths.paths.values_mut() {
        if let Some(get) = &mut item.get
            && let Some(RefOr::T(ok)) = get.responses.responses.get("200")
            && ok.headers.contains_key("ETag")
        {
            get.responses.responses.entry("304".to_owned()).or_insert_with(|| RefOr::T(Response::new("")));
        }
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.options,
            &mut item.head,
            &mut item.patch,
            &mut item.trace,
        ];
        for operation in operations.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else { continue };
                if response.description.is_empty() {
                    default_description(status).clone_into(&mut response.description);
                }
                let is_problem = response.content.get("application/json").is_some_and(|content| {
                    let RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) = content else { return false };
                    schema.ref_location.ends_with("/Problem")
                });
                if is_problem && let Some(content) = response.content.swap_remove("application/json") {
                    response.content.insert(PROBLEM_JSON.to_owned(), content);
                }
            }
        }
    }
    document
}

/// The description of a response whose operation does not describe it.
fn default_description(status: &str) -> &'static str {
    match status {
        "200" => "OK.",
        "201" => "Created.",
        "202" => "Accepted.",
        "204" => "Done; the response has no body.",
        "304" => "Not modified since the given version.",
        "4XX" => "The request was rejected: a problem document (RFC 9457) with a stable `code`.",
        "503" => "The server is not ready.",
        _ => "The response.",
    }
}

fn merged() -> Document {
    Root::openapi()
        .merge_from(health::openapi())
        .nest(mounts::WELL_KNOWN, guildhall_accounts::well_known_openapi())
        .nest(mounts::ACCOUNTS, guildhall_accounts::openapi())
        .nest(mounts::FILES, guildhall_files::openapi())
        .nest(mounts::COMMUNITY, guildhall_community::openapi())
        .nest(mounts::DEALS, guildhall_deals::openapi())
        .nest(mounts::MESSAGING, guildhall_messaging::openapi())
        .nest(mounts::CHAT, guildhall_chat::openapi())
        .nest(mounts::NOTIFICATIONS, guildhall_notifications::openapi())
        .merge_from(guildhall_realtime::openapi())
        .merge_from(guildhall_chat::sockets_openapi())
}
