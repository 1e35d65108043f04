use std::sync::Arc;

use axum::{Router, body::Body, http::Request};
use guildhall_deals::{
    ClientId, ClientStub, Currency, Deal, DealId, DealStatus, DealsState, Error, MockActivities, MockBoards,
    MockClients, MockContacts, MockCustomFields, MockDealFiles, MockDeals, MockExports, MockImports, MockInvitations,
    MockLineItems, MockMembers, MockMerges, MockOrganizations, MockPayments, MockPipelines, MockReports, MockRoles,
    MockSavedViews, MockSearch, MockStages, MockTasks, MockTeams, MockTrash, MockWebhooks, OrganizationId,
    PaymentStatus, PipelineId, StageId, Verification, router,
};
use guildhall_kernel::{
    Page, Roles, Timestamp,
    idempotency::Idempotent,
    testing::{TestClient, signed_in_as},
};
use serde_json::json;

async fn client(configure: impl FnOnce(&mut MockDeals, &mut MockOrganizations)) -> TestClient {
    let (mut deals, mut organizations) = (MockDeals::new(), MockOrganizations::new());
    configure(&mut deals, &mut organizations);
    let state = DealsState {
        organizations: Arc::new(organizations),
        members: Arc::new(MockMembers::new()),
        roles: Arc::new(MockRoles::new()),
        teams: Arc::new(MockTeams::new()),
        invitations: Arc::new(MockInvitations::new()),
        clients: Arc::new(MockClients::new()),
        merges: Arc::new(MockMerges::new()),
        contacts: Arc::new(MockContacts::new()),
        deals: Arc::new(deals),
        line_items: Arc::new(MockLineItems::new()),
        deal_files: Arc::new(MockDealFiles::new()),
        pipelines: Arc::new(MockPipelines::new()),
        stages: Arc::new(MockStages::new()),
        boards: Arc::new(MockBoards::new()),
        activities: Arc::new(MockActivities::new()),
        tasks: Arc::new(MockTasks::new()),
        search: Arc::new(MockSearch::new()),
        trash: Arc::new(MockTrash::new()),
        payments: Arc::new(MockPayments::new()),
        custom_fields: Arc::new(MockCustomFields::new()),
        saved_views: Arc::new(MockSavedViews::new()),
        webhooks: Arc::new(MockWebhooks::new()),
        reports: Arc::new(MockReports::new()),
        imports: Arc::new(MockImports::new()),
        exports: Arc::new(MockExports::new()),
        files: crate::harness::deals().await.files,
        auth: signed_in_as(Roles::default()),
        url: "https://example.org".parse().unwrap(),
    };
    TestClient::new(Router::new().nest("/api/crm", router(state).into())).with("Bearer 7")
}

fn deal() -> Deal {
    Deal {
        id: DealId(17),
        number: "DLID0001".into(),
        deal_id: "DLID0001".into(),
        title: "Website".into(),
        description: String::new(),
        client: ClientStub { id: ClientId(4), name: "Global Corp".into() },
        client_id: ClientId(4),
        contact_id: None,
        pipeline_id: PipelineId(1),
        stage: "lead".into(),
        stage_id: StageId(1),
        stage_entered_at: Timestamp::EPOCH,
        status: DealStatus::Open,
        value: "1200.50".into(),
        currency: Currency::from_code("EUR").unwrap(),
        paid_total: "0.00".into(),
        verified_total: "0.00".into(),
        balance: "1200.50".into(),
        payment_status: PaymentStatus::Unpaid,
        probability: 10,
        source: String::new(),
        expected_close_date: None,
        closed_at: None,
        lost_reason: String::new(),
        verification_status: Verification::Pending,
        verification_note: String::new(),
        owner: None,
        created_by: None,
        custom: std::collections::BTreeMap::default(),
        archived_at: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

/// [`deal`] as JSON.
fn deal_json() -> serde_json::Value {
    json!({
        "id": 17, "number": "DLID0001", "deal_id": "DLID0001", "title": "Website", "description": "",
        "client": {"id": 4, "name": "Global Corp"}, "client_id": 4, "contact_id": null, "pipeline_id": 1,
        "stage": "lead", "stage_id": 1, "stage_entered_at": "1970-01-01T00:00:00.000000Z", "status": "open",
        "value": "1200.50", "currency": "EUR", "custom": {}, "paid_total": "0.00", "verified_total": "0.00", "balance": "1200.50",
        "payment_status": "unpaid", "probability": 10, "source": "", "expected_close_date": null, "closed_at": null,
        "lost_reason": "", "verification_status": "pending", "verification_note": "", "owner": null,
        "created_by": null, "archived_at": null, "created_at": "1970-01-01T00:00:00.000000Z",
        "updated_at": "1970-01-01T00:00:00.000000Z",
    })
}

#[tokio::test]
async fn creating_a_deal_responds_with_201_and_marks_replays() {
    let client = client(|deals, _| {
        deals
            .expect_create_deal()
            .withf(|_, org, client, _, _| *org == OrganizationId(3) && *client == Some(ClientId(4)))
            .returning(|_, _, _, _, key| {
                Ok(if key.is_some() { Idempotent::Replayed(json!({"id": 9})) } else { Idempotent::Created(deal()) })
            });
    })
    .await;
    let body =
        json!({"title": "Website", "value": "1200.50", "currency": "EUR", "custom": {}, "client_id": 5, "unknown": 1});
    let path = "/api/crm/organizations/3/clients/4/deals/";
    let response = client.post(path, body.clone()).await;
    assert_eq!((response.status.as_u16(), response.json()), (201, deal_json()));
    let keyed = Request::post(path)
        .header("authorization", "Bearer 7")
        .header("content-type", "application/json")
        .header("idempotency-key", "abc")
        .body(Body::from(body.to_string()));
    let response = client.send_raw(keyed.unwrap()).await;
    assert_eq!((response.status.as_u16(), response.json()), (201, json!({"id": 9})));
    assert_eq!(response.headers["idempotent-replayed"], "true");
    for (field, value) in
        [("value", json!(1.5)), ("value", json!(true)), ("currency", json!("XAU")), ("title", json!(3))]
    {
        let mut invalid = body.clone();
        invalid[field] = value;
        let refused = client.post(path, invalid).await;
        assert_eq!(refused.status, 400);
        assert!(refused.json()["errors"][field].is_array(), "{}", refused.text);
    }
    assert_eq!(client.post("/api/crm/organizations/x/deals/", body).await.status, 404);
    assert_eq!(client.post(path, serde_json::Value::Null).await.code(), "unsupported_media_type");
}

#[tokio::test]
async fn a_deal_is_read_with_its_etag_and_as_of_a_moment() {
    let client = client(|deals, _| {
        deals.expect_deal().returning(|_, _, path, as_of| match (path.deal.0, as_of) {
            (17, None) => Ok(deal()),
            (17, Some(moment)) => Ok(Deal { created_at: moment, ..deal() }),
            _ => Err(Error::DealNotFound(path.deal)),
        });
    })
    .await;
    let response = client.get("/api/crm/organizations/3/deals/17/").await;
    assert_eq!((response.json(), &response.headers["etag"]), (deal_json(), &"\"0\"".parse().unwrap()));
    let then = client.get("/api/crm/organizations/3/deals/17/?as_of=2025-01-04T10:30:00Z").await;
    assert_eq!(then.json()["created_at"], "2025-01-04T10:30:00.000000Z");
    assert_eq!(client.get("/api/crm/organizations/3/deals/17/?as_of=then").await.status, 400);
    assert_eq!(client.get("/api/crm/organizations/3/clients/4/deals/18/").await.code(), "deal_not_found");
}

#[tokio::test]
async fn compatibility_routes_use_the_only_organization_or_the_header() {
    let client = client(|deals, organizations| {
        organizations.expect_only_organization().returning(|caller| match caller.user.0 {
            7 => Ok(OrganizationId(3)),
            _ => Err(Error::OrganizationRequired),
        });
        deals.expect_deals().returning(|_, org, client, _, _| match (org.0, client) {
            (3, Some(ClientId(4))) => {
                Ok(Page { count: 1, count_capped: false, next: None, previous: None, results: vec![deal()] })
            }
            _ => Err(Error::OrganizationNotFound(org)),
        });
    })
    .await;
    let listed = client.get("/api/crm/clients/4/deals/").await;
    assert_eq!((listed.json()["count"].clone(), listed.json()["results"][0].clone()), (json!(1), deal_json()));
    assert_eq!(client.with("Bearer 8").get("/api/crm/clients/4/deals/").await.code(), "organization_required");
    let named = async |org: &str| {
        let request = Request::get("/api/crm/clients/4/deals/")
            .header("authorization", "Bearer 8")
            .header("x-organization", org)
            .body(Body::empty());
        client.send_raw(request.unwrap()).await
    };
    assert_eq!(named("3").await.status, 200);
    assert_eq!(named("9").await.code(), "organization_not_found");
    assert_eq!(named("acme").await.status, 400);
}

#[tokio::test]
async fn requests_without_a_user_and_changes_of_payments_are_rejected() {
    let client = client(|_, _| ()).await;
    for path in ["permissions/", "organizations/", "organizations/3/deals/", "clients/", "clients/4/deals/1/payments/"]
    {
        assert_eq!(client.with("Basic x").get(&format!("/api/crm/{path}")).await.status, 401, "{path}");
    }
    let catalogue = client.get("/api/crm/permissions/").await.json();
    assert!(catalogue.as_array().unwrap().iter().any(|entry| entry["permission"] == "deal.read:own"));
    for method in ["PUT", "PATCH", "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri("/api/crm/organizations/3/deals/1/payments/1/")
            .header("authorization", "Bearer 7")
            .body(Body::empty());
        assert_eq!(client.send_raw(request.unwrap()).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_rejected() {
    let client = client(|_, _| {}).await;
    for (path, name) in [
        ("reports/forecast/?owner=me", "owner"),
        ("reports/revenue/?form=2025-01-01", "form"),
        ("pipelines/1/board/?limt=5", "limt"),
        ("members/?role=4", "role"),
        ("audit/?object=deal/1", "object"),
        ("deals/17/?as_off=2025-01-01T00:00:00Z", "as_off"),
    ] {
        let response = client.get(&format!("/api/crm/organizations/3/{path}")).await;
        assert_eq!(response.status, 400, "{path}");
        assert!(response.json()["errors"][name].is_array(), "{path}: {}", response.json());
    }
    for path in ["/api/crm/organizations/3/clients/4/?purg=true", "/api/crm/clients/4/?tokn=x"] {
        let request = Request::delete(path).header("authorization", "Bearer 7").body(Body::empty());
        assert_eq!(client.send_raw(request.unwrap()).await.status, 400, "{path}");
    }
}
