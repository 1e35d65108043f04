use guildhall_deals::{
    DealId, DealPatch, DealStatus, Deals, Lane, Move, NewPipeline, NewStage, Pipelines, StageOrder, StagePatch,
    StageRef,
};
use guildhall_kernel::IfMatch;

use crate::harness::{Harness, code, deals, faults, page, person, with_connections};

fn any() -> IfMatch {
    IfMatch::default()
}

fn to(stage: &str, after: Option<DealId>, before: Option<DealId>) -> Move {
    Move { stage: StageRef::Name(stage.into()), after, before, lost_reason: String::new() }
}

async fn order(harness: &Harness, org: guildhall_deals::OrganizationId, stage: &str) -> Vec<DealId> {
    let pipeline = harness.pipelines(&person(1), org, page()).await.unwrap().results[0].id;
    let board = harness.board(&person(1), org, pipeline, Lane::default()).await.unwrap();
    let column = board.columns.into_iter().find(|column| column.stage.name == stage).unwrap();
    column.deals.into_iter().map(|deal| deal.id).collect()
}

#[tokio::test]
async fn cards_stay_where_people_put_them() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(harness.deal_of(1, org, client, "1").await.id);
    }
    let [a, b, c, d] = ids[..] else { unreachable!() };
    let put = async |id: DealId, to| harness.move_deal(&person(1), org, id.into(), to).await;
    assert_eq!(order(&harness, org, "lead").await, [a, b, c, d]);
    put(d, to("lead", Some(a), Some(b))).await.unwrap();
    assert_eq!(order(&harness, org, "lead").await, [a, d, b, c]);
    put(c, to("lead", None, Some(a))).await.unwrap();
    put(a, to("lead", None, None)).await.unwrap();
    assert_eq!(order(&harness, org, "lead").await, [c, d, b, a]);
    for _ in 0..40 {
        put(a, to("lead", Some(c), None)).await.unwrap();
        put(b, to("lead", Some(c), None)).await.unwrap();
    }
    assert_eq!(order(&harness, org, "lead").await, [c, b, a, d]);
    assert_eq!(faults(put(a, to("lead", Some(d), Some(c))).await), ["before"]);
    assert_eq!(faults(put(a, to("won", Some(d), None)).await), ["after"]);
    let moved = put(a, to("won", None, None)).await.unwrap();
    assert_eq!((moved.status, order(&harness, org, "won").await), (DealStatus::Won, vec![a]));
}

#[tokio::test]
async fn there_is_room_at_both_ends_however_often_it_is_used() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(harness.deal_of(1, org, client, "1").await.id);
    }
    let put = async |id: DealId, to| harness.move_deal(&person(1), org, id.into(), to).await.unwrap();
    for _ in 0..50 {
        let first = order(&harness, org, "lead").await;
        put(first[2], to("lead", None, Some(first[0]))).await;
    }
    let top = order(&harness, org, "lead").await;
    put(top[2], to("lead", Some(top[0]), Some(top[1]))).await;
    assert_eq!(order(&harness, org, "lead").await, [top[0], top[2], top[1]]);
    // What is put behind the last one does not stay below what comes later.
    put(top[0], to("lead", Some(top[1]), None)).await;
    let new = harness.deal_of(1, org, client, "1").await.id;
    assert_eq!(order(&harness, org, "lead").await, [top[2], top[1], top[0], new]);
}

#[tokio::test]
async fn cards_that_are_put_into_one_place_at_once_all_get_one() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(harness.deal_of(1, org, client, "1").await.id);
    }
    let (first, last) = (ids[0], ids[11]);
    let mut at_work = tokio::task::JoinSet::new();
    for id in ids[1..11].iter().copied() {
        let deals = harness.deals.clone();
        at_work.spawn(async move { deals.move_deal(&person(1), org, id.into(), to("lead", Some(first), None)).await });
    }
    assert!(at_work.join_all().await.iter().all(Result::is_ok));
    let found = order(&harness, org, "lead").await;
    assert_eq!((found.len(), found[0], found[11]), (12, first, last));
    let places = harness.number("SELECT COUNT(DISTINCT position) FROM deals_deal").await;
    assert_eq!(places, 12);
}

#[tokio::test]
async fn a_board_tells_what_each_stage_is_worth_in_each_currency() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    for value in ["9999999999999999.99", "9999999999999999.99", "0.05"] {
        harness.deal_of(1, org, client, value).await;
    }
    let mut yen = crate::harness::deal(client, "x", "15");
    yen.currency = guildhall_deals::Currency::from_code("JPY");
    harness.create_deal(&person(1), org, None, yen, None).await.unwrap();
    let pipeline = harness.pipelines(&person(1), org, page()).await.unwrap().results[0].id;
    let board = harness.board(&person(1), org, pipeline, Lane { limit: Some(3), ..Lane::default() }).await.unwrap();
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
    // Ten per cent of 15 yen are 1.5, which goes to the even number.
    assert_eq!(totals, [("JPY", "15", "2"), ("USD", "20000000000000000.03", "2000000000000000.00")]);
    let after = Lane { stage: Some(lead.stage.id), after: lead.next_after, ..Lane::default() };
    let rest = harness.board(&person(1), org, pipeline, after).await.unwrap();
    assert_eq!((rest.columns.len(), rest.columns[0].deals.len(), rest.columns[0].next_after), (1, 1, None));
    assert_eq!(
        faults(harness.board(&person(1), org, pipeline, Lane { limit: Some(0), ..Lane::default() }).await),
        ["limit"]
    );
}

#[tokio::test]
async fn pipelines_are_made_changed_and_kept_while_deals_go_through_them() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let stage = |name: &str, kind| NewStage { name: name.into(), kind, ..NewStage::default() };
    let new = NewPipeline {
        name: "Renewals".into(),
        stages: vec![stage("Asked", None), stage("Yes", Some(DealStatus::Won)), stage("No", Some(DealStatus::Lost))],
        ..NewPipeline::default()
    };
    assert_eq!(code(harness.create_pipeline(&person(2), org, new.clone()).await), "not_granted");
    let made = harness.create_pipeline(&person(1), org, new.clone()).await.unwrap();
    assert_eq!(code(harness.create_pipeline(&person(1), org, new.clone()).await), "duplicate");
    let open_only = NewPipeline { name: "x".into(), stages: vec![stage("a", None)], ..NewPipeline::default() };
    assert_eq!(faults(harness.create_pipeline(&person(1), org, open_only).await), ["stages"]);
    let needs = NewStage { required_fields: vec!["contact_id".into(), "source".into()], ..stage("Signed", None) };
    let signed = harness.create_stage(&person(1), org, made.id, needs).await.unwrap();
    let unknown = StagePatch { required_fields: Some(vec!["mood".into()]), ..StagePatch::default() };
    assert_eq!(
        faults(harness.change_stage(&person(1), org, made.id, signed.id, unknown, any()).await),
        ["required_fields"]
    );
    let client = harness.client_of(1, org, "x").await.id;
    let asked = made.stages[0].id;
    let mut deal = crate::harness::deal(client, "x", "1");
    deal.stage = Some(StageRef::Id(asked));
    let deal = crate::harness::made(harness.create_deal(&person(1), org, None, deal, None).await.unwrap());
    assert_eq!((deal.pipeline_id, deal.stage.as_str()), (made.id, "Asked"));
    let go = DealPatch { stage: Some(StageRef::Name("signed".into())), ..DealPatch::default() };
    assert_eq!(faults(harness.change_deal(&person(1), org, deal.id.into(), go, any()).await), ["contact_id", "source"]);
    // Stages and pipelines with deals stay, unless it is said where those go.
    assert_eq!(code(harness.delete_stage(&person(1), org, made.id, asked, None, any()).await), "protected");
    let won = made.stages[1].id;
    assert_eq!(faults(harness.delete_stage(&person(1), org, made.id, asked, Some(won), any()).await), ["move_to"]);
    let emptied = harness.delete_stage(&person(1), org, made.id, asked, Some(signed.id), any()).await;
    assert_eq!(faults(emptied), ["move_to"], "they lack what that stage needs");
    let nothing = StagePatch { required_fields: Some(Vec::new()), ..StagePatch::default() };
    let signed = harness.change_stage(&person(1), org, made.id, signed.id, nothing, any()).await.unwrap();
    harness.delete_stage(&person(1), org, made.id, asked, Some(signed.id), any()).await.unwrap();
    let moved = harness.read(1, org, deal.id).await;
    assert_eq!((moved.stage.as_str(), moved.probability), ("Signed", signed.probability));
    assert_eq!(faults(harness.delete_stage(&person(1), org, made.id, won, None, any()).await), ["stages"]);
    assert_eq!(code(harness.delete_pipeline(&person(1), org, made.id, any()).await), "protected");
    let usual = harness.pipelines(&person(1), org, page()).await.unwrap().results[0].clone();
    assert_eq!(code(harness.delete_pipeline(&person(1), org, usual.id, any()).await), "protected");
    let mut stages: Vec<_> = usual.stages.iter().map(|stage| stage.id).collect();
    stages.reverse();
    let ordered = harness.order_stages(&person(1), org, usual.id, StageOrder { stages: stages.clone() }).await.unwrap();
    assert_eq!(ordered.stages.iter().map(|stage| stage.id).collect::<Vec<_>>(), stages);
    stages.pop();
    assert_eq!(faults(harness.order_stages(&person(1), org, usual.id, StageOrder { stages }).await), ["stages"]);
}
