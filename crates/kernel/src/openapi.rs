//! The API description, derived from the handlers.
//!
//! Parameters are described by the extractors that read them, and what every operation has in common by the response
//! types. A handler that is mounted with [`routes!`](crate::routes) can therefore neither read a parameter that is not
//! described nor describe one that it does not read.

use axum::{
    body::Bytes,
    extract::{OriginalUri, Request, State},
    http::{HeaderMap, StatusCode, Uri, request::Parts},
    response::{Html, Redirect, Response},
};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        Content, Deprecated, Header, Object, Paths, Ref, RefOr, Required, Response as Described, Schema, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    },
};

use crate::{
    Caller, CursorParams, CursorQuery, IfMatch, Json, PageParams, PageQuery, Path, Problem, Query, Tagged,
    idempotency::{Idempotent, KeyHeader, WithKey},
};

/// Mounts handlers of one path with their descriptions: those of `#[utoipa::path]`, completed by their arguments and
/// their results.
#[macro_export]
macro_rules! routes {
    ($($handler:path),+ $(,)?) => {{
        let (mut schemas, mut paths, router) = ::utoipa_axum::routes!($($handler),+);
        $($crate::openapi::describe(&mut schemas, &mut paths, stringify!($handler), &$handler);)+
        (schemas, paths, router)
    }};
}

/// Mounts handlers at another path than their own, for compatibility: they read either path through their extractors.
/// `$rename` makes the operation ids, which are unique in the whole API.
#[macro_export]
macro_rules! routes_at {
    ($path:expr, $rename:expr; $($handler:path),+ $(,)?) => {{
        let (mut schemas, mut paths, router) = ::utoipa_axum::routes!($($handler),+);
        $crate::openapi::move_to(&mut paths, $path);
        $($crate::openapi::describe(&mut schemas, &mut paths, stringify!($handler), &$handler);)+
        $crate::openapi::rename_operations(&mut paths, $rename);
        (schemas, paths, router)
    }};
}

/// An argument of a handler, as it appears in the API description.
pub trait OperationInput {
    /// Adds the parameters that it reads. `path` is the path of the operation, with its `{names}`.
    fn describe(operation: &mut Operation, path: &str) {
        let _ = (operation, path);
    }
}

/// The result of a handler, as it appears in the API description.
pub trait OperationOutput {
    /// Adds what all responses of this type have in common.
    fn describe(operation: &mut Operation) {
        let _ = operation;
    }
}

/// The parameters in a path, in their order.
pub trait PathParameters {
    /// Their schemas.
    fn schemas() -> Vec<RefOr<Schema>>;
}

/// A handler whose arguments and result are described.
pub trait Describe<Args> {
    /// Describes them.
    fn describe(&self, operation: &mut Operation, path: &str);
}

/// Completes the description of a handler. Used by [`routes!`](crate::routes).
pub fn describe<Args>(
    schemas: &mut Vec<(String, RefOr<Schema>)>,
    paths: &mut Paths,
    handler: &str,
    described: &impl Describe<Args>,
) {
    let name = handler.rsplit("::").next().unwrap_or(handler).trim();
    for (path, item) in &mut paths.paths {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch, &mut item.head];
        for operation in operations.into_iter().flatten() {
            if operation.operation_id.as_deref() == Some(name) {
                described.describe(operation, path);
            }
        }
    }
    if !schemas.iter().any(|(known, _)| *known == Problem::name()) {
        schemas.push((Problem::name().into_owned(), Problem::schema()));
        Problem::schemas(schemas);
    }
}

/// Moves the description of one path to another one. Used by [`routes_at!`](crate::routes_at).
pub fn move_to(paths: &mut Paths, path: &str) {
    let moved = std::mem::take(&mut paths.paths).into_values().next();
    paths.paths.extend(moved.map(|item| (path.to_owned(), item)));
}

/// Renames the operations. Used by [`routes_at!`](crate::routes_at).
pub fn rename_operations(paths: &mut Paths, rename: impl Fn(&str) -> String) {
    for operation in operations(paths) {
        operation.operation_id = operation.operation_id.take().map(|id| rename(&id));
    }
}

/// Marks all operations as deprecated: there is a better way to do what they do.
pub fn deprecate(paths: &mut Paths) {
    for operation in operations(paths) {
        operation.deprecated = Some(Deprecated::True);
    }
}

/// All operations of a description.
pub fn operations(paths: &mut Paths) -> impl Iterator<Item = &mut Operation> {
    paths.paths.values_mut().flat_map(|item| {
        [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch, &mut item.head]
            .into_iter()
            .flatten()
    })
}

/// Adds a parameter for each id in the path.
pub fn add_path_ids(operation: &mut Operation, path: &str) {
    for name in names_in(path) {
        add_parameter(operation, path_parameter(name, i64::schema()));
    }
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

fn path_parameter(name: &str, schema: RefOr<Schema>) -> Parameter {
    let parameter = ParameterBuilder::new().name(name.trim_start_matches('*')).parameter_in(ParameterIn::Path);
    parameter.required(Required::True).schema(Some(schema)).build()
}

fn add_parameter(operation: &mut Operation, parameter: Parameter) {
    let parameters = operation.parameters.get_or_insert_default();
    let is_described = parameters.iter().any(|known| match known {
        RefOr::T(known) => known.name == parameter.name && known.parameter_in == parameter.parameter_in,
        RefOr::Ref(_) => false,
    });
    if !is_described {
        parameters.push(RefOr::T(parameter));
    }
}

fn add_parameters<T: IntoParams>(operation: &mut Operation, location: ParameterIn) {
    for parameter in T::into_params(|| Some(location.clone())) {
        add_parameter(operation, parameter);
    }
}

/// Adds an optional header of the request.
pub fn add_request_header(operation: &mut Operation, name: &str, description: &str) {
    let schema = Object::with_type(Type::String);
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema));
    add_parameter(operation, parameter.build());
}

/// Adds a header to the successful responses that have a body.
fn add_response_header(operation: &mut Operation, name: &str, description: &str) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
            && !response.content.is_empty()
        {
            let mut header = Header::new(Object::with_type(Type::String));
            header.description = Some(description.to_owned());
            response.headers.entry(name.to_owned()).or_insert(RefOr::T(header));
        }
    }
}

/// Adds the response of rejected requests.
fn add_problem(operation: &mut Operation) {
    let mut response = Described::new("");
    let schema = Ref::from_schema_name(Problem::name());
    response.content.insert("application/problem+json".to_owned(), RefOr::T(Content::new(Some(schema))));
    operation.responses.responses.entry("4XX".to_owned()).or_insert(RefOr::T(response));
}

impl<T: PathParameters> OperationInput for Path<T> {
    fn describe(operation: &mut Operation, path: &str) {
        // Those that the attribute has guessed from the types refer to schemas that need not exist.
        operation.parameters.get_or_insert_default().retain(|parameter| match parameter {
            RefOr::T(parameter) => parameter.parameter_in != ParameterIn::Path,
            RefOr::Ref(_) => true,
        });
        for (name, schema) in names_in(path).zip(T::schemas()) {
            add_parameter(operation, path_parameter(name, schema));
        }
    }
}

impl<T: IntoParams> OperationInput for Query<T> {
    fn describe(operation: &mut Operation, _: &str) {
        add_parameters::<T>(operation, ParameterIn::Query);
    }
}

impl OperationInput for PageQuery {
    fn describe(operation: &mut Operation, _: &str) {
        add_parameters::<PageParams>(operation, ParameterIn::Query);
    }
}

impl OperationInput for CursorQuery {
    fn describe(operation: &mut Operation, _: &str) {
        add_parameters::<CursorParams>(operation, ParameterIn::Query);
    }
}

impl OperationInput for IfMatch {
    fn describe(operation: &mut Operation, _: &str) {
        add_request_header(operation, "If-Match", "The expected version (`ETag`); another one is refused with 412.");
    }
}

impl<T> OperationInput for WithKey<T> {
    fn describe(operation: &mut Operation, path: &str) {
        KeyHeader::describe(operation, path);
    }
}

impl OperationInput for KeyHeader {
    fn describe(operation: &mut Operation, _: &str) {
        let description = "A key of the client's choice. A request that is sent again with it within a day gets the \
                           response of the first one.";
        add_request_header(operation, "Idempotency-Key", description);
    }
}

macro_rules! without_parameters {
    ($($argument:ty),*) => {
        $(impl OperationInput for $argument {})*
    };
}

without_parameters!(Caller, String, Bytes, HeaderMap, Uri, OriginalUri, Request, Parts);

impl<T> OperationInput for State<T> {}
impl<T> OperationInput for Json<T> {}
impl<T> OperationInput for axum::Extension<T> {}
impl<T> OperationInput for axum::Form<T> {}

impl<T: OperationInput> OperationInput for Option<T> {
    fn describe(operation: &mut Operation, path: &str) {
        T::describe(operation, path);
    }
}

macro_rules! without_headers {
    ($($output:ty),*) => {
        $(impl OperationOutput for $output {})*
    };
}

without_headers!((), Response, StatusCode, String, &'static str, Bytes, Redirect);

impl<T> OperationOutput for Json<T> {}
impl<T> OperationOutput for Html<T> {}

impl<T> OperationOutput for Tagged<T> {
    fn describe(operation: &mut Operation) {
        add_response_header(operation, "ETag", "The version, for `If-Match`.");
    }
}

impl<T> OperationOutput for Idempotent<T> {
    fn describe(operation: &mut Operation) {
        add_response_header(operation, "ETag", "The version, for `If-Match`.");
        let description = "`true` where it is the response of an earlier request with this `Idempotency-Key`.";
        add_response_header(operation, "Idempotent-Replayed", description);
    }
}

impl<T: OperationOutput> OperationOutput for (StatusCode, T) {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

impl<H, T: OperationOutput, const N: usize> OperationOutput for ([(H, &'static str); N], T) {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

impl<T: OperationOutput, E> OperationOutput for Result<T, E> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

impl PathParameters for String {
    fn schemas() -> Vec<RefOr<Schema>> {
        vec![Self::schema()]
    }
}

macro_rules! path_parameters {
    ($($parameter:ident),+) => {
        impl<$($parameter: PathParameters),+> PathParameters for ($($parameter,)+) {
            fn schemas() -> Vec<RefOr<Schema>> {
                let mut schemas = Vec::new();
                $(schemas.extend($parameter::schemas());)+
                schemas
            }
        }
    };
}

path_parameters!(A, B);
path_parameters!(A, B, C);
path_parameters!(A, B, C, D);

macro_rules! handlers {
    ($($argument:ident),*) => {
        impl<F, Fut, Output, $($argument),*> Describe<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut,
            Fut: Future<Output = Output>,
            Output: OperationOutput,
            $($argument: OperationInput,)*
        {
            fn describe(&self, operation: &mut Operation, path: &str) {
                let _ = path;
                $($argument::describe(operation, path);)*
                Output::describe(operation);
                // Also without a `Result`: the host's layers reject requests.
                add_problem(operation);
            }
        }
    };
}

handlers!();
handlers!(A1);
handlers!(A1, A2);
handlers!(A1, A2, A3);
handlers!(A1, A2, A3, A4);
handlers!(A1, A2, A3, A4, A5);
handlers!(A1, A2, A3, A4, A5, A6);
handlers!(A1, A2, A3, A4, A5, A6, A7);
handlers!(A1, A2, A3, A4, A5, A6, A7, A8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;

    async fn change_thing(_: State<()>, _: Caller, _: Path<(String, String)>, _: IfMatch) -> Result<Tagged<String>> {
        unreachable!()
    }

    #[test]
    fn arguments_and_results_describe_an_operation() {
        let mut operation = Operation::new();
        let mut ok = Described::new("");
        ok.content.insert("application/json".to_owned(), RefOr::T(Content::new(None::<RefOr<Schema>>)));
        operation.responses.responses.insert("200".to_owned(), RefOr::T(ok));
        operation.operation_id = Some("change_thing".to_owned());
        let mut paths = Paths::new();
        paths.add_path_operation("/shelves/{shelf}/things/{thing}/", vec![utoipa::openapi::HttpMethod::Put], operation);
        let mut schemas = Vec::new();
        describe(&mut schemas, &mut paths, "module::change_thing", &change_thing);
        let json = serde_json::to_value(&paths).unwrap();
        let operation = &json["/shelves/{shelf}/things/{thing}/"]["put"];
        let names: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["shelf", "thing", "If-Match"]);
        assert!(operation["responses"]["200"]["headers"]["ETag"].is_object());
        assert!(operation["responses"]["4XX"]["content"]["application/problem+json"].is_object());
        assert!(schemas.iter().any(|(name, _)| name == "Problem"));
    }
}
