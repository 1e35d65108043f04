//! The service on a database.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, Clock, Db, Directory, IfMatch, Ordering, Page, PageQuery, Person, PublicUrl, UserId, text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, EntityTrait, PartialModelTrait, QueryFilter, QuerySelect, QueryTrait, Select, Set, SqlErr,
    sea_query::{Expr, ExprTrait, Query},
};

use crate::{
    Community, Error, Group, GroupFilter, GroupId, NewGroup, Result, Settings,
    entity::{
        group,
        membership::{self, Role},
    },
    model::{GroupRow, SeenRow},
    picture,
};

const LONGEST_SLUG: usize = 80;

/// The community on a database.
#[derive(Clone)]
pub struct SqlCommunity {
    db: Db,
    directory: Arc<dyn Directory>,
    clock: Clock,
    mount: PublicUrl,
    settings: Settings,
}

impl SqlCommunity {
    /// The service on a database with its tables. `mount` is the address that the router will be
    /// nested at, for the pictures' URLs.
    pub fn new(db: Db, directory: Arc<dyn Directory>, clock: Clock, mount: PublicUrl, settings: Settings) -> Self {
        Self { db, directory, clock, mount, settings }
    }

    /// The same service, reached at another address.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl) -> Self {
        Self { mount, ..self.clone() }
    }

    /// Makes a group and takes it away again, to show that both can be done; nothing is stored.
    ///
    /// # Errors
    /// Whatever keeps groups from being made or deleted.
    pub async fn rehearse(&self) -> Result<()> {
        let now = self.clock.now();
        let [_, slug] = slugs("rehearsal")?;
        let slug = &slug;
        self.db
            .rehearse(|tx| async move {
                let conn = tx.conn();
                let row = group::ActiveModel {
                    id: NotSet,
                    name: Set("rehearsal".to_owned()),
                    name_key: Set("rehearsal".to_owned()),
                    slug: Set(slug.clone()),
                    description: Set(String::new()),
                    category: Set("general".to_owned()),
                    is_private: Set(true),
                    is_corporate_group: Set(false),
                    creator_id: Set(None),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                let made = row.insert(conn).await?.id;
                let gone = group::Entity::delete_by_id(made).exec(conn).await?;
                if gone.rows_affected == 1 { Ok(()) } else { Err(Error::GroupNotFound(made)) }
            })
            .await
    }

    /// Every read of a group starts here, so that no query forgets who is asking.
    fn visible_to(&self, viewer: Option<Caller>) -> Result<Select<group::Entity>> {
        let groups = group::Entity::find();
        let public = group::COLUMN.is_private.eq(false);
        match viewer {
            None if !self.settings.public_read => Err(Error::NotAuthenticated),
            None => Ok(groups.filter(public)),
            Some(caller) if caller.roles.is_staff() => Ok(groups),
            Some(caller) => Ok(groups.filter(Condition::any().add(public).add(joined(caller.user)))),
        }
    }

    async fn insert(&self, caller: &Caller, new: &NewGroup, slug: &str) -> Result<GroupRow> {
        self.db
            .write(|tx| async move {
                let now = self.clock.now();
                let name = new.name.trim();
                let row = group::ActiveModel {
                    id: NotSet,
                    name: Set(name.to_owned()),
                    name_key: Set(text::fold(name)),
                    slug: Set(slug.to_owned()),
                    description: Set(new.description.clone()),
                    category: Set(new.category.trim().to_owned()),
                    is_private: Set(new.is_private),
                    is_corporate_group: Set(new.is_corporate_group),
                    creator_id: Set(Some(caller.user)),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                let row = row.insert(tx.conn()).await?;
                let owner = membership::ActiveModel {
                    id: NotSet,
                    group_id: Set(row.id),
                    user_id: Set(caller.user),
                    role: Set(Role::Owner),
                    joined_at: Set(now),
                };
                owner.insert(tx.conn()).await?;
                Ok(GroupRow {
                    id: row.id,
                    name: row.name,
                    slug: row.slug,
                    description: row.description,
                    category: row.category,
                    is_private: row.is_private,
                    is_corporate_group: row.is_corporate_group,
                    creator_id: row.creator_id,
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                    member_count: 1,
                })
            })
            .await
    }

    /// The groups as the viewer sees them, in two statements however many there are.
    async fn show(&self, rows: Vec<SeenRow>) -> Result<Vec<Group>> {
        let ids: Vec<GroupId> = rows.iter().map(|seen| seen.row.id).collect();
        let moderators = if ids.is_empty() { Vec::new() } else { moderators_of(&ids).all(self.db.conn()).await? };
        let creators: HashSet<UserId> = rows.iter().filter_map(|seen| seen.row.creator_id).collect();
        let people = self.people(&creators.into_iter().collect::<Vec<_>>()).await?;
        let mut of_group: HashMap<GroupId, Vec<UserId>> = HashMap::new();
        for moderator in moderators {
            of_group.entry(moderator.group_id).or_default().push(moderator.user_id);
        }
        let show = |seen: SeenRow| {
            let moderators = of_group.remove(&seen.row.id).unwrap_or_default();
            self.view(seen, moderators, &people)
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn people(&self, ids: &[UserId]) -> Result<HashMap<UserId, Person>> {
        let people = self.directory.people(ids).await?;
        Ok(people.into_iter().map(|person| (person.id, person)).collect())
    }

    fn view(&self, seen: SeenRow, mut moderators: Vec<UserId>, people: &HashMap<UserId, Person>) -> Group {
        let SeenRow { row, own_role } = seen;
        moderators.sort_unstable();
        Group {
            image_url: picture::fallback_url(&self.mount, row.id, &row.name),
            banner_url: None,
            creator: row.creator_id.and_then(|id| people.get(&id)).cloned(),
            is_member: own_role.is_some(),
            is_moderator: own_role.is_some_and(|role| role != Role::Member),
            moderators,
            courses: Vec::new(),
            id: row.id,
            name: row.name,
            slug: row.slug,
            description: row.description,
            category: row.category,
            is_private: row.is_private,
            is_corporate_group: row.is_corporate_group,
            member_count: row.member_count,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn joined(user: UserId) -> Condition {
    let own = membership::Entity::find()
        .select_only()
        .column(membership::Column::GroupId)
        .filter(membership::COLUMN.user_id.eq(user));
    Condition::all().add(group::Column::Id.in_subquery(own.into_query()))
}

/// Adds what the viewer is in each group; group by group, since whoever is in ten thousand of them should
/// not have them all read for a page of twenty.
fn with_own_role(groups: Select<group::Entity>, viewer: Option<Caller>) -> Select<group::Entity> {
    let column = |column| Expr::col((membership::Entity, column));
    // Nobody has the id 0.
    let user = viewer.map_or(UserId(0), |caller| caller.user);
    let own = Query::select()
        .column((membership::Entity, membership::Column::Role))
        .from(membership::Entity)
        .and_where(column(membership::Column::GroupId).equals((group::Entity, group::Column::Id)))
        .and_where(column(membership::Column::UserId).eq(user))
        .take();
    groups.expr_as(Expr::from(own), "own_role")
}

/// Whoever looks after these groups.
fn moderators_of(groups: &[GroupId]) -> Select<membership::Entity> {
    let of_groups = membership::COLUMN.group_id.is_in(groups.iter().copied());
    // As the index has it; a bound value would not do.
    membership::Entity::find().filter(of_groups).filter(Expr::cust("community_membership.role <> 'member'"))
}

/// A name as it stands in an address, and the same with a random end in case somebody has it.
fn slugs(name: &str) -> kernel::Result<[String; 2]> {
    let mut slug = slug::slugify(name);
    slug.truncate(LONGEST_SLUG); // it is ASCII
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "group" } else { slug };
    let end = getrandom::u32().map_err(|error| kernel::Error::internal(error.to_string()))?;
    Ok([slug.to_owned(), format!("{slug}-{end:08x}")])
}

fn is_taken(error: &Error) -> bool {
    let cause = match error {
        Error::Database(cause) => cause.sql_err(),
        _ => None,
    };
    matches!(cause, Some(SqlErr::UniqueConstraintViolation(which)) if which.contains("slug"))
}

#[async_trait]
impl Community for SqlCommunity {
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group> {
        new.validate()?;
        let [plain, distinct] = slugs(&new.name)?;
        let row = match self.insert(caller, &new, &plain).await {
            Err(error) if is_taken(&error) => self.insert(caller, &new, &distinct).await?,
            outcome => outcome?,
        };
        let people = self.people(&[caller.user]).await?;
        Ok(self.view(SeenRow { row, own_role: Some(Role::Owner) }, vec![caller.user], &people))
    }

    async fn groups(&self, viewer: Option<Caller>, filter: GroupFilter, page: PageQuery) -> Result<Page<Group>> {
        let mut select = self.visible_to(viewer)?;
        if let Some(category) = filter.category.filter(|category| !category.is_empty()) {
            select = select.filter(group::COLUMN.category.eq(category));
        }
        if let Some(search) = filter.search.filter(|search| !search.is_empty()) {
            let prefix = text::fold(&search);
            let end = text::after_prefix(&prefix);
            select = select.filter(group::COLUMN.name_key.between(prefix, end));
        }
        if let (Some(wanted), Some(caller)) = (filter.joined, viewer) {
            let joined = joined(caller.user);
            select = select.filter(if wanted { joined } else { joined.not() });
        }
        let ordering = Ordering {
            fields: &[
                ("id", group::Column::Id),
                ("name", group::Column::NameKey),
                ("created_at", group::Column::CreatedAt),
            ],
            usual: "-created_at",
            id: group::Column::Id,
        };
        let own_role = |rows| with_own_role(rows, viewer);
        let page = Page::<SeenRow>::fetch_with(select, own_role, &ordering, &page, self.db.conn()).await?;
        let (rows, page) = page.take();
        let groups = self.show(rows).await?;
        Ok(page.with(|_| groups))
    }

    async fn group(&self, viewer: Option<Caller>, id: GroupId) -> Result<Group> {
        let found = SeenRow::select_cols(self.visible_to(viewer)?.filter(group::COLUMN.id.eq(id)).select_only());
        let row = with_own_role(found, viewer).into_model::<SeenRow>().one(self.db.conn()).await?;
        self.show(vec![row.ok_or(Error::GroupNotFound(id))?]).await?.pop().ok_or(Error::GroupNotFound(id))
    }

    async fn delete_group(&self, caller: &Caller, id: GroupId, known: IfMatch) -> Result<()> {
        let known = &known;
        let members = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                // Locked, so that of two changes to one version the second sees the first.
                let group =
                    self.visible_to(Some(*caller))?.filter(group::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
                let group = group.ok_or(Error::GroupNotFound(id))?;
                let of_group = membership::COLUMN.group_id.eq(id);
                let owned = membership::Entity::find()
                    .filter(of_group.clone())
                    .filter(membership::COLUMN.user_id.eq(caller.user))
                    .filter(membership::COLUMN.role.eq(Role::Owner))
                    .one(conn)
                    .await?;
                if owned.is_none() && !caller.roles.is_staff() {
                    return Err(Error::NotGroupOwner);
                }
                known.check(group.updated_at)?;
                // Counted for the log; the foreign key would take them too, whoever removes the group.
                let members = membership::Entity::delete_many().filter(of_group).exec(conn).await?.rows_affected;
                group::Entity::delete_by_id(id).exec(conn).await?;
                Ok(members)
            })
            .await?;
        tracing::info!(group.id = id.0, user.id = caller.user.0, members, "a group was deleted");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_list_reads_or_sorts_a_whole_table() {
        use guildhall_kernel::{
            Roles,
            testing::{TestDb, fake_directory, plan},
        };
        use sea_orm::QueryOrder;

        let db = TestDb::new(crate::migrations::beside_people).await;
        let mount = "https://example.org".parse().unwrap();
        let directory = Arc::new(fake_directory([]));
        let community = SqlCommunity::new(db.handle(), directory, Clock::system(), mount, Settings::default());
        let caller = Caller::new(UserId(1), Roles::default());
        let visible = || community.visible_to(Some(caller)).unwrap();
        let newest = |groups: Select<group::Entity>| {
            let groups = with_own_role(SeenRow::select_cols(groups.select_only()), Some(caller));
            groups.order_by_desc(group::Column::CreatedAt).order_by_desc(group::Column::Id).limit(20).into_query()
        };
        let lists = [
            ("all", newest(visible())),
            ("one category", newest(visible().filter(group::COLUMN.category.eq("general")))),
            (
                "by name",
                visible().order_by_asc(group::Column::NameKey).order_by_asc(group::Column::Id).limit(20).into_query(),
            ),
            ("who looks after them", moderators_of(&[GroupId(1), GroupId(2)]).into_query()),
        ];
        for (list, query) in lists {
            let plan = plan(&db, &query).await;
            assert!(!plan.contains("Seq Scan on community_membership"), "{list}: {plan}");
            assert!(!plan.contains("SCAN community_membership"), "{list}: {plan}");
            if list != "who looks after them" {
                assert!(!plan.contains("TEMP B-TREE FOR ORDER BY") && !plan.contains("Sort"), "{list}: {plan}");
            }
        }
    }

    #[test]
    fn every_name_has_a_slug() {
        let slug = |name: &str| slugs(name).unwrap()[0].clone();
        assert_eq!(slug("Rust People of Kent!"), "rust-people-of-kent");
        assert_eq!(slug("???"), "group");
        assert_eq!(slug("Käse & Wein"), "kase-wein");
        assert!(slug(&"long ".repeat(100)).len() <= LONGEST_SLUG);
        let [plain, distinct] = slugs("x").unwrap();
        assert!(distinct.starts_with(&plain) && distinct.len() == plain.len() + 9);
    }
}
