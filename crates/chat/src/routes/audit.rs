//! The chain of hashes, and the export of a room.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use guildhall_kernel::{Caller, Error, Json, Path, Query, Result, routes};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    id::RoomId,
    model::{Audit, AuditRange, ExportPart},
    service::Audits,
    state::ChatState,
};

const JSON_LINES: &str = "application/jsonl";

pub(super) fn routes() -> OpenApiRouter<ChatState> {
    OpenApiRouter::new().routes(routes!(audit_room)).routes(routes!(export_room))
}

/// The lines of a part, and the number of its last event; `None` if it is the last part.
fn lines(part: &ExportPart, with_header: bool) -> Result<(Bytes, Option<i64>)> {
    let mut text = Vec::new();
    if with_header {
        push_line(&mut text, &part.header)?;
    }
    for event in &part.events {
        push_line(&mut text, event)?;
    }
    let last = part.events.last().map(|event| event.seq).filter(|seq| *seq < part.header.last_seq);
    Ok((text.into(), last))
}

fn push_line(text: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *text, value).map_err(Error::internal)?;
    text.push(b'\n');
    Ok(())
}

/// Get the hashes of a room's events: with them, a participant can check that they have received all. Only participants
/// and staff may.
///
/// Each hash is SHA-256 over the hash of the event before it and the record, which contains hashes of the contents.
#[utoipa::path(get, path = "/chat/{room_id}/audit/", tag = "chat", responses((status = 200, body = Audit)))]
async fn audit_room(
    State(audits): State<Arc<dyn Audits>>,
    caller: Caller,
    Path(room): Path<RoomId>,
    Query(range): Query<AuditRange>,
) -> Result<Json<Audit>> {
    Ok(Json(audits.audit(&caller, room, range).await?))
}

/// Export a room with all its events as lines of JSON. Only the host and staff may.
///
/// `guildhall verify-room` checks such a file without the server.
#[utoipa::path(get, path = "/chat/{room_id}/export/", tag = "chat",
    responses((status = 200, content_type = "application/jsonl", body = String)),
)]
async fn export_room(
    State(audits): State<Arc<dyn Audits>>,
    caller: Caller,
    Path(room): Path<RoomId>,
) -> Result<Response> {
    let first = audits.export(&caller, room, 0, None).await?;
    let end = first.header.last_seq;
    let (text, next) = lines(&first, true)?;
    let rest = stream::try_unfold(next, move |next| {
        let audits = audits.clone();
        async move {
            let Some(after) = next else { return Ok::<_, Error>(None) };
            let part = audits.export(&caller, room, after, Some(end)).await?;
            lines(&part, false).map(Some)
        }
    });
    let body = futures_util::StreamExt::chain(stream::iter([Ok(text)]), rest);
    let name = format!("attachment; filename=\"room-{room}.jsonl\"");
    let headers = [(header::CONTENT_TYPE, JSON_LINES.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(body)).into_response())
}
