//! Events that only the host gets: due tasks, lost access, changed pipelines, and moves within a stage.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_deals::{
    Boards, Clients, Deals, Invitations, MemberId, MemberPatch, MemberStatus, Members, MoveDeal, NewOrganization,
    NewPipeline, NewStage, NewTask, OrganizationId, OrganizationSelector, Organizations, PipelinePatch, Pipelines,
    Removal, RolePatch, Roles, StageOrder, StagePatch, StageRef, Stages, Task, TaskPatch, Tasks, Trash,
    event::{DealAccessEnded, DealMoved, DealRepositioned, OrganizationDeleted, PipelineChanged, TaskDue},
};
use guildhall_kernel::{
    IfMatch, Result, Timestamp, UserId, UserRemoval,
    db::Tx,
    event::{Dispatcher, Emitted, Event, Subscriber},
};

use crate::harness::{Harness, deals, page, person, with_connections};

const HOUR: Duration = Duration::from_secs(3600);

/// Records the events that it gets.
#[derive(Default)]
struct Recorder(Mutex<Vec<Emitted>>);

#[async_trait]
impl Subscriber for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn events(&self) -> Vec<&'static str> {
        vec![
            DealAccessEnded::NAME,
            DealMoved::NAME,
            DealRepositioned::NAME,
            OrganizationDeleted::NAME,
            PipelineChanged::NAME,
            TaskDue::NAME,
        ]
    }

    async fn handle(&self, _: &Tx, event: &Emitted) -> Result<()> {
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }
}

/// The services with a recorder of their events.
struct Recorded {
    harness: Harness,
    recorder: Arc<Recorder>,
    dispatcher: Dispatcher,
}

async fn recorded() -> Recorded {
    recorded_with(deals().await)
}

fn recorded_with(harness: Harness) -> Recorded {
    let recorder = Arc::new(Recorder::default());
    let dispatcher = Dispatcher::new(harness.db.handle(), harness.clock.clock(), vec![recorder.clone()]);
    Recorded { harness, recorder, dispatcher }
}

impl Recorded {
    /// The events since the last call.
    async fn events(&self) -> Vec<Emitted> {
        self.dispatcher.dispatch().await.unwrap();
        std::mem::take(&mut *self.recorder.0.lock().unwrap())
    }

    async fn names(&self) -> Vec<String> {
        self.events().await.into_iter().map(|event| event.name).collect()
    }

    /// Whose access to deals has ended since the last call; `None` if it may be any member.
    async fn ended_access(&self) -> Vec<Option<UserId>> {
        let events = self.events().await;
        events.iter().filter_map(|event| event.read::<DealAccessEnded>().unwrap()).map(|event| event.user).collect()
    }

    /// The titles of the tasks that were announced since the last call.
    async fn announced(&self, org: OrganizationId) -> Vec<String> {
        let count = self.harness.tasks.announce_due_tasks().await.unwrap();
        let mut titles = Vec::new();
        for event in self.events().await {
            let due = event.read::<TaskDue>().unwrap().unwrap();
            let task = self.harness.tasks.task(&person(1), org, due.task).await.unwrap();
            assert_eq!((due.organization_id, Some(due.due_at)), (org, task.due_at));
            titles.push(task.title);
        }
        assert_eq!(count, titles.len() as u64);
        titles.sort();
        titles
    }

    async fn task(&self, org: OrganizationId, title: &str, due_at: Timestamp) -> Task {
        let new = NewTask { title: title.to_owned(), due_at: Some(due_at), ..NewTask::default() };
        self.harness.tasks.create_task(&person(1), org, new).await.unwrap()
    }

    async fn change_task(&self, org: OrganizationId, task: &Task, patch: TaskPatch) {
        self.harness.tasks.change_task(&person(1), org, task.id, patch, any()).await.unwrap();
    }
}

fn any() -> IfMatch {
    IfMatch::default()
}

fn due(due_at: Timestamp) -> TaskPatch {
    TaskPatch { due_at: Some(Some(due_at)), ..TaskPatch::default() }
}

#[tokio::test]
async fn a_task_is_announced_once_for_each_due_time() {
    let recorded = recorded().await;
    let org = recorded.harness.org().await;
    let now = recorded.harness.clock.clock().now();
    let task = recorded.task(org, "Call", now + HOUR).await;
    recorded.task(org, "Later", now + 3 * HOUR).await;
    assert!(recorded.announced(org).await.is_empty(), "not yet due");
    recorded.harness.clock.advance(HOUR);
    assert_eq!(recorded.announced(org).await, ["Call"]);
    assert!(recorded.announced(org).await.is_empty(), "once");
    let unchanged = recorded.harness.tasks.task(&person(1), org, task.id).await.unwrap();
    assert_eq!(unchanged.updated_at, task.updated_at, "its version stays the same");
    recorded.change_task(org, &task, due(now + 2 * HOUR)).await;
    recorded.change_task(org, &task, due(now + HOUR)).await;
    assert!(recorded.announced(org).await.is_empty(), "it was announced for this time");
    recorded.change_task(org, &task, due(now + 2 * HOUR)).await;
    recorded.harness.clock.advance(HOUR);
    assert_eq!(recorded.announced(org).await, ["Call"], "postponed");
}

#[tokio::test]
async fn tasks_that_are_done_deleted_in_the_trash_or_long_overdue_are_not_announced() {
    let recorded = recorded().await;
    let (harness, me) = (&recorded.harness, &person(1));
    let org = harness.org().await;
    let now = harness.clock.clock().now();
    let done = recorded.task(org, "Done", now + HOUR).await;
    recorded.change_task(org, &done, TaskPatch { is_done: Some(true), ..TaskPatch::default() }).await;
    let deleted = recorded.task(org, "Deleted", now + HOUR).await;
    harness.tasks.delete_task(me, org, deleted.id, any()).await.unwrap();
    recorded.task(org, "Overdue", now - 100 * HOUR).await;
    let client = harness.client_of(1, org, "x").await.id;
    let new = NewTask {
        title: "Trashed".to_owned(),
        client_id: Some(client),
        due_at: Some(now + HOUR),
        ..NewTask::default()
    };
    harness.tasks.create_task(me, org, new).await.unwrap();
    harness.clients.delete_client(me, org, client, false, None, any()).await.unwrap();
    harness.clock.advance(HOUR);
    assert!(recorded.announced(org).await.is_empty());
    let trash = harness.sales.trash(me, org, page()).await.unwrap().results[0].id;
    harness.sales.restore(me, org, trash).await.unwrap();
    assert_eq!(recorded.announced(org).await, ["Trashed"]);
}

#[tokio::test]
async fn more_tasks_than_a_batch_are_announced() {
    let recorded = recorded().await;
    let org = recorded.harness.org().await;
    let now = recorded.harness.clock.clock().now();
    for number in 0..101 {
        recorded.task(org, &format!("{number:03}"), now).await;
    }
    assert_eq!(recorded.announced(org).await.len(), 101);
}

#[tokio::test]
async fn open_tasks_are_visible_to_those_who_may_read_them() {
    let recorded = recorded().await;
    let harness = &recorded.harness;
    let org = harness.org().await;
    for (user, role) in [(2, "salesperson"), (3, "viewer")] {
        harness.join(org, user, role, None).await;
    }
    let new = NewTask { title: "Call".to_owned(), assignee_id: Some(UserId(2)), ..NewTask::default() };
    let task = harness.tasks.create_task(&person(1), org, new).await.unwrap();
    let sees =
        async |user| harness.deals.visible_open_tasks(UserId(user), &[task.id]).await.unwrap().contains(&task.id);
    assert_eq!([sees(1).await, sees(2).await, sees(3).await, sees(4).await], [true, true, false, false]);
    recorded.change_task(org, &task, TaskPatch { is_done: Some(true), ..TaskPatch::default() }).await;
    assert!(!sees(2).await);
}

/// The membership of a user.
async fn member(harness: &Harness, org: OrganizationId, user: i64) -> MemberId {
    let members = harness.tenancy.members(&person(1), org, page()).await.unwrap().results;
    members.iter().find(|member| member.user_id == Some(UserId(user))).unwrap().id
}

#[tokio::test]
async fn whoever_leaves_is_removed_or_deactivated_loses_access_to_deals() {
    let recorded = recorded().await;
    let (harness, me) = (&recorded.harness, &person(1));
    let org = harness.org().await;
    for user in [2, 3, 4] {
        harness.join(org, user, "salesperson", None).await;
    }
    assert!(recorded.ended_access().await.is_empty());
    harness.tenancy.leave_organization(&person(2), org).await.unwrap();
    assert_eq!(recorded.ended_access().await, [Some(UserId(2))]);
    harness.tenancy.remove_member(me, org, member(harness, org, 3).await, any()).await.unwrap();
    assert_eq!(recorded.ended_access().await, [Some(UserId(3))]);
    let inactive = MemberPatch { status: Some(MemberStatus::Deactivated), ..MemberPatch::default() };
    let id = member(harness, org, 4).await;
    harness.tenancy.change_member(me, org, id, inactive, any()).await.unwrap();
    assert_eq!(recorded.ended_access().await, [Some(UserId(4))]);
    assert!(!harness.deals.may_see_deals(&person(4), org).await.unwrap());
    assert!(!harness.deals.may_see_deals(&person(2), org).await.unwrap());
    assert!(harness.deals.may_see_deals(me, org).await.unwrap());
}

#[tokio::test]
async fn a_role_that_no_longer_grants_it_ends_access_to_deals() {
    let recorded = recorded().await;
    let (harness, me) = (&recorded.harness, &person(1));
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let change = async |role: &str, permissions: &[&str]| {
        let permissions = Some(permissions.iter().map(|&name| name.to_owned()).collect());
        let patch = RolePatch { permissions, ..RolePatch::default() };
        harness.tenancy.change_role(me, org, harness.role(org, role).await, patch, any()).await.unwrap();
    };
    change("salesperson", &["member.read", "deal.read:own"]).await;
    assert!(recorded.ended_access().await.is_empty(), "they still see their own");
    change("viewer", &["member.read"]).await;
    assert_eq!(recorded.ended_access().await, [None], "the role has lost the permission");
    let viewer = MemberPatch { role_id: Some(harness.role(org, "viewer").await), ..MemberPatch::default() };
    harness.tenancy.change_member(me, org, member(harness, org, 2).await, viewer, any()).await.unwrap();
    assert_eq!(recorded.ended_access().await, [Some(UserId(2))], "the member has another role");
    assert!(!harness.deals.may_see_deals(&person(2), org).await.unwrap());
    change("viewer", &["member.read", "deal.read"]).await;
    assert!(recorded.ended_access().await.is_empty(), "more permissions");
}

#[tokio::test]
async fn the_deletion_of_an_account_ends_access_to_deals() {
    let recorded = recorded().await;
    let harness = &recorded.harness;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let removal = Removal::new(harness.clock.clock());
    let remove = |tx| {
        let removal = removal.clone();
        async move { removal.release(&tx, UserId(2), None).await }
    };
    harness.db.write(remove).await.unwrap();
    assert_eq!(recorded.ended_access().await, [Some(UserId(2))]);
}

#[tokio::test]
async fn the_deletion_of_an_organization_is_an_event() {
    let recorded = recorded().await;
    let (harness, me) = (&recorded.harness, &person(1));
    let org = harness.org().await;
    harness.tenancy.delete_organization(me, org, any()).await.unwrap();
    let events = recorded.events().await;
    let deleted = OrganizationDeleted { organization_id: org };
    assert_eq!(events[0].read::<OrganizationDeleted>().unwrap(), Some(deleted));
    assert_eq!(events.len(), 1);
    let test = NewOrganization { name: "Test".to_owned(), is_test: true, ..NewOrganization::default() };
    harness.tenancy.create_organization(me, test).await.unwrap();
    for (is_dry_run, expected) in [(true, vec![]), (false, vec![OrganizationDeleted::NAME])] {
        harness.tenancy.clean_up(&OrganizationSelector::Tests, None, is_dry_run, false).await.unwrap().unwrap();
        assert_eq!(recorded.names().await, expected);
    }
}

#[tokio::test]
async fn a_change_of_a_pipeline_or_its_stages_is_an_event() {
    let recorded = recorded().await;
    let (harness, me) = (&recorded.harness, &person(1));
    let org = harness.org().await;
    let new = NewPipeline { name: "Second".to_owned(), ..NewPipeline::default() };
    let pipeline = harness.pipelines.create_pipeline(me, org, new).await.unwrap();
    let id = pipeline.id;
    let changed = async || {
        let events = recorded.events().await;
        let expected = PipelineChanged { organization_id: org, pipeline: id };
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].read::<PipelineChanged>().unwrap(), Some(expected));
    };
    changed().await;
    let new = NewStage { name: "Review".to_owned(), ..NewStage::default() };
    let stage = harness.pipelines.create_stage(me, org, id, new).await.unwrap().id;
    changed().await;
    let name = StagePatch { name: Some("Revision".to_owned()), ..StagePatch::default() };
    harness.pipelines.change_stage(me, org, id, stage, name, any()).await.unwrap();
    changed().await;
    let mut stages: Vec<_> = pipeline.stages.iter().map(|stage| stage.id).collect();
    stages.insert(0, stage);
    harness.pipelines.order_stages(me, org, id, StageOrder { stages }).await.unwrap();
    changed().await;
    harness.pipelines.delete_stage(me, org, id, stage, None, any()).await.unwrap();
    changed().await;
    let name = PipelinePatch { name: Some("Other".to_owned()), ..PipelinePatch::default() };
    harness.pipelines.change_pipeline(me, org, id, name, any()).await.unwrap();
    changed().await;
    harness.pipelines.delete_pipeline(me, org, id, any()).await.unwrap();
    changed().await;
}

#[tokio::test]
async fn several_servers_announce_a_task_once() {
    let recorded = recorded_with(with_connections(4).await);
    let org = recorded.harness.org().await;
    recorded.task(org, "Call", recorded.harness.clock.clock().now()).await;
    let (first, second) = (recorded.harness.tasks.clone(), recorded.harness.tasks.clone());
    let (first, second) = tokio::try_join!(first.announce_due_tasks(), second.announce_due_tasks()).unwrap();
    assert_eq!(first + second, 1);
    assert_eq!(recorded.names().await, [TaskDue::NAME]);
}

#[tokio::test]
async fn a_move_within_a_stage_is_an_event() {
    let recorded = recorded().await;
    let (harness, me) = (&recorded.harness, &person(1));
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let first = harness.deal_of(1, org, client, "1").await;
    let second = harness.deal_of(1, org, client, "1").await;
    let to = |stage: guildhall_deals::StageId| MoveDeal {
        stage: StageRef::Id(stage),
        after: None,
        before: None,
        lost_reason: String::new(),
    };
    let before = MoveDeal { before: Some(first.id), ..to(first.stage_id) };
    harness.sales.move_deal(me, org, second.id.into(), before).await.unwrap();
    assert_eq!(recorded.names().await, [DealRepositioned::NAME]);
    let board = harness.pipelines.board(me, org, first.pipeline_id, guildhall_deals::BoardQuery::default());
    let next = board.await.unwrap().columns[1].stage.id;
    harness.sales.move_deal(me, org, second.id.into(), to(next)).await.unwrap();
    assert_eq!(recorded.names().await, [DealMoved::NAME]);
}
