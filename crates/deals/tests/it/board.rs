use guildhall_deals::{
    BoardQuery, Boards, Contacts, Day, DealId, DealPatch, DealStatus, Deals, MoveDeal, NewContact, NewDeal,
    NewPipeline, NewStage, Pipelines, StageOrder, StagePatch, StageRef, Stages,
};
use guildhall_kernel::IfMatch;

use crate::harness::{Harness, code, deals, invalid_fields, page, person, with_connections};

fn any() -> IfMatch {
    IfMatch::default()
}

fn to(stage: &str, after: Option<DealId>, before: Option<DealId>) -> MoveDeal {
    MoveDeal { stage: StageRef::Name(stage.into()), after, before, lost_reason: String::new() }
}

async fn order(harness: &Harness, org: guildhall_deals::OrganizationId, stage: &str) -> Vec<DealId> {
    let pipeline = harness.pipelines.pipelines(&person(1), org, page()).await.unwrap().results[0].id;
    let board = harness.pipelines.board(&person(1), org, pipeline, BoardQuery::default()).await.unwrap();
    let column = board.columns.into_iter().find(|column| column.stage.name == stage).unwrap();
    column.deals.into_iter().map(|deal| deal.id).collect()
}

#[tokio::test]
async fn moved_cards_keep_their_order() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(harness.deal_of(1, org, client, "1").await.id);
    }
    let [a, b, c, d] = ids[..] else { unreachable!() };
    let move_to = async |id: DealId, to| harness.sales.move_deal(&person(1), org, id.into(), to).await;
    assert_eq!(order(&harness, org, "lead").await, [a, b, c, d]);
    move_to(d, to("lead", Some(a), Some(b))).await.unwrap();
    assert_eq!(order(&harness, org, "lead").await, [a, d, b, c]);
    move_to(c, to("lead", None, Some(a))).await.unwrap();
    move_to(a, to("lead", None, None)).await.unwrap();
    assert_eq!(order(&harness, org, "lead").await, [c, d, b, a]);
    for _ in 0..40 {
        move_to(a, to("lead", Some(c), None)).await.unwrap();
        move_to(b, to("lead", Some(c), None)).await.unwrap();
    }
    assert_eq!(order(&harness, org, "lead").await, [c, b, a, d]);
    assert_eq!(invalid_fields(move_to(a, to("lead", Some(d), Some(c))).await), ["before"]);
    assert_eq!(invalid_fields(move_to(a, to("won", Some(d), None)).await), ["after"]);
    let moved = move_to(a, to("won", None, None)).await.unwrap();
    assert_eq!((moved.status, order(&harness, org, "won").await), (DealStatus::Won, vec![a]));
}

#[tokio::test]
async fn cards_can_be_moved_to_either_end_any_number_of_times() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(harness.deal_of(1, org, client, "1").await.id);
    }
    let move_to = async |id: DealId, to| harness.sales.move_deal(&person(1), org, id.into(), to).await.unwrap();
    for _ in 0..50 {
        let first = order(&harness, org, "lead").await;
        move_to(first[2], to("lead", None, Some(first[0]))).await;
    }
    let top = order(&harness, org, "lead").await;
    move_to(top[2], to("lead", Some(top[0]), Some(top[1]))).await;
    assert_eq!(order(&harness, org, "lead").await, [top[0], top[2], top[1]]);
    // New deals come after one that was moved to the end.
    move_to(top[0], to("lead", Some(top[1]), None)).await;
    let new = harness.deal_of(1, org, client, "1").await.id;
    assert_eq!(order(&harness, org, "lead").await, [top[2], top[1], top[0], new]);
}

#[tokio::test]
async fn cards_moved_concurrently_get_distinct_positions() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(harness.deal_of(1, org, client, "1").await.id);
    }
    let (first, last) = (ids[0], ids[11]);
    let mut tasks = tokio::task::JoinSet::new();
    for id in ids[1..11].iter().copied() {
        let deals = harness.deals.clone();
        tasks.spawn(
            async move { deals.sales.move_deal(&person(1), org, id.into(), to("lead", Some(first), None)).await },
        );
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    let moved = order(&harness, org, "lead").await;
    assert_eq!((moved.len(), moved[0], moved[11]), (12, first, last));
    let positions = harness.db.query_i64("SELECT COUNT(DISTINCT position) FROM deals_deal").await;
    assert_eq!(positions, 12);
}

#[tokio::test]
async fn a_board_has_totals_by_stage_and_currency() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    for value in ["9999999999999999.99", "9999999999999999.99", "0.05"] {
        harness.deal_of(1, org, client, value).await;
    }
    let mut yen = crate::harness::deal(client, "x", "15");
    yen.currency = guildhall_deals::Currency::from_code("JPY");
    harness.sales.create_deal(&person(1), org, None, yen, None).await.unwrap();
    let pipeline = harness.pipelines.pipelines(&person(1), org, page()).await.unwrap().results[0].id;
    let board = harness
        .pipelines
        .board(&person(1), org, pipeline, BoardQuery { limit: Some(3), ..BoardQuery::default() })
        .await
        .unwrap();
    assert_eq!(
        board.columns.iter().map(|column| column.stage.name.as_str()).collect::<Vec<_>>(),
        ["lead", "qualified", "proposal", "negotiation", "won", "lost"]
    );
    let lead = &board.columns[0];
    assert_eq!((lead.count, lead.deals.len()), (4, 3));
    let totals: Vec<_> = lead
        .totals
        .iter()
        .map(|total| (total.currency.code(), total.value.as_str(), total.weighted.as_str()))
        .collect();
    // Ten percent of 15 yen is 1.5, which is rounded half to even.
    assert_eq!(totals, [("JPY", "15", "2"), ("USD", "20000000000000000.03", "2000000000000000.00")]);
    let after = BoardQuery { stage: Some(lead.stage.id), after: lead.next_after, ..BoardQuery::default() };
    let rest = harness.pipelines.board(&person(1), org, pipeline, after).await.unwrap();
    assert_eq!((rest.columns.len(), rest.columns[0].deals.len(), rest.columns[0].next_after), (1, 1, None));
    assert_eq!(
        invalid_fields(
            harness
                .pipelines
                .board(&person(1), org, pipeline, BoardQuery { limit: Some(0), ..BoardQuery::default() })
                .await
        ),
        ["limit"]
    );
}

#[tokio::test]
async fn pipelines_and_stages_with_deals_are_not_deleted() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let stage = |name: &str, kind| NewStage { name: name.into(), kind, ..NewStage::default() };
    let new = NewPipeline {
        name: "Renewals".into(),
        stages: vec![stage("Asked", None), stage("Yes", Some(DealStatus::Won)), stage("No", Some(DealStatus::Lost))],
        ..NewPipeline::default()
    };
    assert_eq!(code(harness.pipelines.create_pipeline(&person(2), org, new.clone()).await), "not_granted");
    let pipeline = harness.pipelines.create_pipeline(&person(1), org, new.clone()).await.unwrap();
    assert_eq!(code(harness.pipelines.create_pipeline(&person(1), org, new.clone()).await), "duplicate");
    let open_only = NewPipeline { name: "x".into(), stages: vec![stage("a", None)], ..NewPipeline::default() };
    assert_eq!(invalid_fields(harness.pipelines.create_pipeline(&person(1), org, open_only).await), ["stages"]);
    let strict = NewStage { required_fields: vec!["contact_id".into(), "source".into()], ..stage("Signed", None) };
    let signed = harness.pipelines.create_stage(&person(1), org, pipeline.id, strict).await.unwrap();
    let unknown = StagePatch { required_fields: Some(vec!["mood".into()]), ..StagePatch::default() };
    assert_eq!(
        invalid_fields(harness.pipelines.change_stage(&person(1), org, pipeline.id, signed.id, unknown, any()).await),
        ["required_fields"]
    );
    let client = harness.client_of(1, org, "x").await.id;
    let asked = pipeline.stages[0].id;
    let mut deal = crate::harness::deal(client, "x", "1");
    deal.stage = Some(StageRef::Id(asked));
    let deal = crate::harness::created(harness.sales.create_deal(&person(1), org, None, deal, None).await.unwrap());
    assert_eq!((deal.pipeline_id, deal.stage.as_str()), (pipeline.id, "Asked"));
    let to_signed = DealPatch { stage: Some(StageRef::Name("signed".into())), ..DealPatch::default() };
    assert_eq!(
        invalid_fields(harness.sales.change_deal(&person(1), org, deal.id.into(), to_signed, any()).await),
        ["contact_id", "source"]
    );
    // A stage or pipeline with deals is only deleted if another stage for them is named.
    assert_eq!(
        code(harness.pipelines.delete_stage(&person(1), org, pipeline.id, asked, None, any()).await),
        "protected"
    );
    let won = pipeline.stages[1].id;
    assert_eq!(
        invalid_fields(harness.pipelines.delete_stage(&person(1), org, pipeline.id, asked, Some(won), any()).await),
        ["move_to"]
    );
    let emptied = harness.pipelines.delete_stage(&person(1), org, pipeline.id, asked, Some(signed.id), any()).await;
    assert_eq!(invalid_fields(emptied), ["move_to"], "the deals lack fields that the stage requires");
    let relaxed = StagePatch { required_fields: Some(Vec::new()), ..StagePatch::default() };
    let signed = harness.pipelines.change_stage(&person(1), org, pipeline.id, signed.id, relaxed, any()).await.unwrap();
    harness.pipelines.delete_stage(&person(1), org, pipeline.id, asked, Some(signed.id), any()).await.unwrap();
    let moved = harness.read(1, org, deal.id).await;
    assert_eq!((moved.stage.as_str(), moved.probability), ("Signed", signed.probability));
    assert_eq!(
        invalid_fields(harness.pipelines.delete_stage(&person(1), org, pipeline.id, won, None, any()).await),
        ["stages"]
    );
    assert_eq!(code(harness.pipelines.delete_pipeline(&person(1), org, pipeline.id, any()).await), "protected");
    let default = harness.pipelines.pipelines(&person(1), org, page()).await.unwrap().results[0].clone();
    assert_eq!(code(harness.pipelines.delete_pipeline(&person(1), org, default.id, any()).await), "protected");
    let mut stages: Vec<_> = default.stages.iter().map(|stage| stage.id).collect();
    stages.reverse();
    let ordered = harness
        .pipelines
        .order_stages(&person(1), org, default.id, StageOrder { stages: stages.clone() })
        .await
        .unwrap();
    assert_eq!(ordered.stages.iter().map(|stage| stage.id).collect::<Vec<_>>(), stages);
    stages.pop();
    assert_eq!(
        invalid_fields(harness.pipelines.order_stages(&person(1), org, default.id, StageOrder { stages }).await),
        ["stages"]
    );
}

#[tokio::test]
async fn a_stage_requires_the_same_of_one_deal_as_of_all_deals_of_another_stage() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    let contact = harness.clients.create_contact(me, org, client, contact).await.unwrap().id;
    let pipeline = harness.pipelines.pipelines(me, org, page()).await.unwrap().results[0].id;
    let plain = |value: &str| crate::harness::deal(client, "x", value);
    let described = |description: &str| NewDeal { description: description.into(), ..plain("1") };
    let cases = [
        ("value", plain("0"), false),
        ("value", plain("0.01"), true),
        ("contact_id", plain("1"), false),
        ("contact_id", NewDeal { contact_id: Some(contact), ..plain("1") }, true),
        ("expected_close_date", plain("1"), false),
        ("expected_close_date", NewDeal { expected_close_date: Day::parse("2030-01-01"), ..plain("1") }, true),
        ("description", plain("1"), false),
        ("description", described("  "), false),
        ("description", described("\n\u{a0}\u{3000}\t"), false),
        ("description", described(" x "), true),
        ("source", plain("1"), false),
        ("source", NewDeal { source: "web".into(), ..plain("1") }, true),
    ];
    for (index, (field, new, expected)) in cases.into_iter().enumerate() {
        let stage = async |name: String, required_fields| {
            let new = NewStage { name, required_fields, ..NewStage::default() };
            harness.pipelines.create_stage(me, org, pipeline, new).await.unwrap().id
        };
        let from = stage(format!("From {index}"), Vec::new()).await;
        let to = stage(format!("To {index}"), vec![field.to_owned()]).await;
        let new = NewDeal { stage: Some(StageRef::Id(from)), ..new };
        let case = format!("{field}: {new:?}");
        let deal = crate::harness::created(harness.sales.create_deal(me, org, None, new, None).await.unwrap()).id;
        let change_to = async |stage| {
            let patch = DealPatch { stage: Some(StageRef::Id(stage)), ..DealPatch::default() };
            harness.sales.change_deal(me, org, deal.into(), patch, any()).await
        };
        assert_eq!(change_to(to).await.is_ok(), expected, "{case}");
        change_to(from).await.unwrap();
        let emptied = harness.pipelines.delete_stage(me, org, pipeline, from, Some(to), any()).await;
        assert_eq!(emptied.is_ok(), expected, "{case}");
    }
}
