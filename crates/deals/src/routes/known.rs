//! A parameter that nobody knows is refused: one that is passed over would show more than was asked for, or do it.

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

use super::DealsState;
use crate::filter::FILTER;

/// The parameters of an operation.
type Names = BTreeSet<String>;

/// Which parameters there are, as the description of the routes has it.
struct Known(HashMap<String, Vec<(Method, Names)>>);

impl Known {
    fn of(described: &OpenApi) -> Self {
        let of = |(path, item): (&String, &utoipa::openapi::PathItem)| {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let told =
                operations.into_iter().filter_map(|(method, operation)| Some((method, names(operation.as_ref()?))));
            (path.trim_end_matches('/').to_owned(), told.collect())
        };
        Self(described.paths.paths.iter().map(of).collect())
    }

    /// Those of a route, wherever the host has put it.
    fn at(&self, path: &str, method: &Method) -> Option<&Names> {
        let path = path.trim_end_matches('/');
        let within = path.match_indices('/').find_map(|(at, _)| self.0.get(path.get(at..)?))?;
        within.iter().find(|(known, _)| known == method).map(|(_, names)| names)
    }
}

fn names(operation: &Operation) -> Names {
    let described = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query) => Some(parameter.name.clone()),
        _ => None,
    });
    described.collect()
}

/// The routes, refusing what they do not know. Those that take filters look at them themselves.
pub(super) fn only_known(routes: OpenApiRouter<DealsState>) -> OpenApiRouter<DealsState> {
    let known = Arc::new(Known::of(routes.get_openapi()));
    routes.layer(from_fn(move |request: Request, next: Next| check(known.clone(), request, next)))
}

async fn check(known: Arc<Known>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    if let Some(names) = path.and_then(|path| known.at(path.as_str(), request.method()))
        && !names.contains(FILTER)
        && let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        && let Some((strange, _)) = given.iter().find(|(name, _)| !names.contains(name))
    {
        let there: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = match there.as_slice() {
            [] => "There are no parameters here.".to_owned(),
            there => format!("There is no such parameter; there are: {}.", there.join(", ")),
        };
        return Error::field(strange.as_str(), message).into_response();
    }
    next.run(request).await
}
