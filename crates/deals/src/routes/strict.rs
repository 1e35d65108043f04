//! Refuses unknown query parameters. Ignoring one could return or change more than was asked for.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{
    extract::{MatchedPath, Query, Request},
    http::Method,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use guildhall_kernel::Error;
use utoipa::openapi::{
    OpenApi, RefOr,
    path::{Operation, ParameterIn},
};
use utoipa_axum::router::OpenApiRouter;

use crate::core::FILTER;
use crate::state::DealsState;

/// The names of the query parameters of an operation.
type Names = BTreeSet<String>;

/// The query parameters of all operations by path, from the API description.
struct KnownParameters(HashMap<String, Vec<(Method, Names)>>);

impl KnownParameters {
    fn new(api: &OpenApi) -> Self {
        let parameters = |(path, item): (&String, &utoipa::openapi::PathItem)| {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let by_method =
                operations.into_iter().filter_map(|(method, operation)| Some((method, names(operation.as_ref()?))));
            (path.trim_end_matches('/').to_owned(), by_method.collect())
        };
        Self(api.paths.paths.iter().map(parameters).collect())
    }

    /// The parameters of a route, under whatever path the host has nested it.
    fn find(&self, path: &str, method: &Method) -> Option<&Names> {
        let path = path.trim_end_matches('/');
        let operations = path.match_indices('/').find_map(|(index, _)| self.0.get(path.get(index..)?))?;
        operations.iter().find(|(other, _)| other == method).map(|(_, names)| names)
    }
}

fn names(operation: &Operation) -> Names {
    let names = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query) => Some(parameter.name.clone()),
        _ => None,
    });
    names.collect()
}

/// Adds the check to all routes. Lists with filters check their parameters themselves.
pub(super) fn refuse_unknown_parameters(routes: OpenApiRouter<DealsState>) -> OpenApiRouter<DealsState> {
    let known = Arc::new(KnownParameters::new(routes.get_openapi()));
    routes.layer(from_fn(move |request: Request, next: Next| check(known.clone(), request, next)))
}

async fn check(known: Arc<KnownParameters>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    if let Some(names) = path.and_then(|path| known.find(path.as_str(), request.method()))
        && !names.contains(FILTER)
        && let Ok(Query(parameters)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        && let Some((unknown, _)) = parameters.iter().find(|(name, _)| !names.contains(name))
    {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = match names.as_slice() {
            [] => "Unknown parameter. This operation has none.".to_owned(),
            names => format!("Unknown parameter. Choose from: {}.", names.join(", ")),
        };
        return Error::field(unknown.as_str(), message).into_response();
    }
    next.run(request).await
}
