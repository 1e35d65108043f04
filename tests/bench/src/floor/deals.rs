//! Deals.

pub(super) mod response;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
};

use anyhow::Context;
use axum::{
    Json,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use self::response::{DEAL, DEAL_OWNER, DEAL_VERSION, DEALS, Deal, NEW_DEAL, References, load_deals};
use super::{
    MAX_COUNT, PageParams, Result, Shared,
    community::people,
    etag,
    organization::{NUMBER, RequestContext},
    store::{Arg, Conn, Row},
    writes::Write,
};

const LOCK_CLIENT: &str = "SELECT 1 FROM deals_client WHERE id = $1 FOR NO KEY UPDATE";
const CLIENT: &str = "SELECT * FROM deals_client WHERE org_id = $1 AND deleted_at IS NULL AND id = $2 LIMIT 1";
const FIRST_STAGE: &str = "SELECT id, name, pipeline_id, kind, probability, required_fields FROM deals_stage \
    WHERE org_id = $1 AND pipeline_id IN (SELECT id FROM deals_pipeline WHERE org_id = $1 AND is_default) \
    ORDER BY position, id LIMIT 1";
const FIELDS: &str = "SELECT * FROM deals_custom_field WHERE org_id = $1 AND entity = $2 ORDER BY id LIMIT 50";
const STAGE_CHANGE: &str = "INSERT INTO deals_stage_change \
    (org_id, deal_id, from_stage_id, to_stage_id, from_name, to_name, moved_by, moved_at) \
    VALUES ($1, $2, NULL, $3, '', $4, $5, $6)";
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM deals_deal WHERE org_id = $1 AND deleted_at IS NULL \
    AND archived_at IS NULL LIMIT $2) AS listed";

pub(super) async fn deals(
    State(floor): Shared,
    headers: HeaderMap,
    Path(org): Path<i64>,
    Query(params): Query<PageParams>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    floor.require_member(&mut conn, org, caller).await?;
    let rows = conn.all(DEALS, &[Arg::Int(org), Arg::Int(params.size()), Arg::Int(params.offset())]).await?;
    let count = params.count(rows.len(), &mut conn, COUNT, &[Arg::Int(org), Arg::Int(MAX_COUNT + 1)]).await?;
    let deals = load_deals(&mut conn, &rows).await?;
    let url = floor.url.join(&format!("/api/crm/organizations/{org}/deals/"));
    Ok(Json(params.page(&url, count, deals)).into_response())
}

pub(super) async fn deal(
    State(floor): Shared,
    headers: HeaderMap,
    Path((org, id)): Path<(i64, i64)>,
) -> Result<Response> {
    let caller = floor.caller(&headers).await?;
    let mut reader = floor.store.read().await?;
    let mut conn = reader.conn();
    floor.require_member(&mut conn, org, caller).await?;
    let row = conn.one(DEAL, &[Arg::Int(org), Arg::Int(id)]).await?;
    let version = row.get(DEAL_VERSION)?;
    let deal = load_deals(&mut conn, &[row]).await?.pop().context("one row must yield one deal")?;
    Ok(([etag(version)], Json(deal)).into_response())
}

#[derive(Deserialize)]
pub(super) struct DealInput {
    client_id: i64,
    title: String,
    value: String,
    currency: String,
}

/// The data to create a deal.
pub(super) struct NewDeal {
    context: RequestContext,
    input: DealInput,
}

pub(super) async fn create_deal(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(org): Path<i64>,
    Json(input): Json<DealInput>,
) -> Result<Response> {
    let user = floor.caller(&headers).await?;
    let people = people(&mut floor.store.read().await?.conn(), HashSet::from([user])).await?;
    let new = NewDeal { context: RequestContext::new(org, user, peer, &headers), input };
    let rows = floor.store.write(Write::CreateDeal(new)).await?;
    let [deal, client, stage] = rows.as_slice() else {
        return Err(anyhow::anyhow!("a new deal must return three rows").into());
    };
    let person = people.get(&user).cloned().context("the caller must exist")?;
    let references = References {
        clients: HashMap::from([(client.get(0)?, client.get(2)?)]),
        stages: HashMap::from([(stage.get(0)?, stage.get(1)?)]),
        members: HashMap::from([(deal.get(DEAL_OWNER)?, person)]),
    };
    let version = etag(deal.get(DEAL_VERSION)?);
    Ok((StatusCode::CREATED, [version], Json(Deal::read(deal, &references)?)).into_response())
}

pub(super) async fn store_deal(conn: &mut Conn<'_>, new: &NewDeal) -> sqlx::Result<Vec<Row>> {
    let (context, input) = (&new.context, &new.input);
    let (org, now) = (Arg::Int(context.org), Arg::Int(context.now));
    let member = context.require_member(conn).await?;
    if conn.is_postgres() {
        conn.all(LOCK_CLIENT, &[Arg::Int(input.client_id)]).await?;
    }
    let client = conn.one(CLIENT, &[org, Arg::Int(input.client_id)]).await?;
    let stage = conn.one(FIRST_STAGE, &[org]).await?;
    conn.all(FIELDS, &[org, Arg::Text("deal")]).await?;
    let number: i64 = conn.one(NUMBER, &[org, Arg::Text("deal")]).await?.get(0)?;
    let code = format!("DLID{number:04}");
    let position = format!("{}{number:06}", context.now);
    let search_text = format!("{} {}\n{}", input.title.to_lowercase(), code.to_lowercase(), client.get::<String>(3)?);
    let value = input.value.replace('.', "").parse().unwrap_or_default();
    let args = [
        org,
        Arg::Int(number),
        Arg::Text(&code),
        Arg::Text(&input.title),
        Arg::Int(input.client_id),
        Arg::Int(stage.get(2)?),
        Arg::Int(stage.get(0)?),
        Arg::Text(&position),
        Arg::Int(member),
        Arg::Int(value),
        Arg::Text(&input.currency),
        Arg::Int(stage.get(4)?),
        now,
        Arg::Text(&search_text),
    ];
    let deal = conn.one(NEW_DEAL, &args).await?;
    let (id, name): (i64, String) = (deal.get(0)?, stage.get(1)?);
    let change = [org, Arg::Int(id), Arg::Int(stage.get(0)?), Arg::Text(&name), Arg::Int(member), now];
    conn.run(STAGE_CHANGE, &change).await?;
    context.audit(conn, "deals.create_deal", r#"{"created":true}"#, &format!("deal/{id}")).await?;
    Ok(vec![deal, client, stage])
}
