use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{health, wiring::mounts};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Guildhall",
        description = "The back end of a community. Every path may be written with or without the slash at its end. \
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

/// The description of the whole API (OpenAPI 3.1).
pub fn document() -> Document {
    Root::openapi()
        .merge_from(health::openapi())
        .nest(mounts::WELL_KNOWN, guildhall_accounts::well_known_openapi())
        .nest(mounts::ACCOUNTS, guildhall_accounts::openapi())
        .nest(mounts::FILES, guildhall_kernel::file::openapi())
        .nest(mounts::COMMUNITY, guildhall_community::openapi())
        .nest(mounts::DEALS, guildhall_deals::openapi())
}
