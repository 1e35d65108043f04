//! The services on a database.

mod authenticate;
mod doctor;
mod keys;
mod operator;
mod passwords;
mod people;
mod prune;
mod removal;
mod second_factor;
mod security;
mod sessions;
mod staff;
mod user_tokens;

use std::sync::Arc;

use guildhall_kernel::{
    self as kernel, Clock, Db, Gate, GateLimits, Outbox, PublicUrl, UserId, UserRemoval,
    letter::Letterhead,
    mail::{Mail, address_key},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, PartialModelTrait, QueryFilter, QuerySelect,
    QueryTrait, Select, Statement,
    sea_query::{Expr, ExprTrait},
};

pub use operator::WeakPassword;
pub use prune::Pruned;

use crate::{
    Account, Error, Result, Settings,
    entity::user,
    hasher::Hasher,
    letters::{Letters, Reader},
    model::AccountRow,
    names,
    throttle::Throttle,
};
use keys::Keyring;

/// How long a notice about an account's safety is worth sending.
const NOTICE_LIFE: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// The name of the key that throttles are kept under.
const THROTTLE_SECRET: &str = "accounts.throttle";

/// How many register at once.
const REGISTRATIONS: GateLimits =
    GateLimits { at_once: 1, queue: 32, per_person: 1, patience: std::time::Duration::from_secs(5) };

/// What the services stand in.
#[derive(Clone)]
pub struct Host {
    /// Where they read the time.
    pub clock: Clock,
    /// Where they leave letters.
    pub outbox: Outbox,
    /// What people know the service as.
    pub name: String,
    /// What clients reach the service as.
    pub url: PublicUrl,
    /// Are failures counted? Only a load test does without.
    pub throttled: bool,
    /// Who has a say when a person is removed.
    pub removals: Vec<Arc<dyn UserRemoval>>,
}

impl Host {
    /// A host that is reached at an address, with the system's clock and without other domains.
    pub fn new(db: &Db, url: PublicUrl) -> Self {
        let clock = Clock::system();
        let outbox = Outbox::new(db.clone(), clock.clone());
        Self { clock, outbox, name: "Guildhall".to_owned(), url, throttled: true, removals: Vec::new() }
    }
}

/// Accounts and tokens on a database: implements [`Accounts`](crate::Accounts),
/// [`Tokens`](crate::Tokens), [`Security`](crate::Security), [`Staff`](crate::Staff),
/// [`Authenticate`](kernel::Authenticate) and [`Directory`](kernel::Directory).
#[derive(Clone)]
pub struct SqlAccounts(Arc<Inner>);

struct Inner {
    db: Db,
    settings: Settings,
    clock: Clock,
    hasher: Hasher,
    keys: Keyring,
    throttle: Throttle,
    outbox: Outbox,
    letters: Letters,
    removals: Vec<Arc<dyn UserRemoval>>,
    /// Registrations hash passwords as well; they must not take every place in the queue of those who sign in.
    registrations: Gate,
    /// Reads an account by its id; written once, since it is asked for all the time.
    account_sql: String,
}

impl SqlAccounts {
    /// Opens the service on a database with its tables; makes the first signing key where there is
    /// none.
    pub async fn open(db: Db, settings: Settings, host: Host) -> Result<Self> {
        let hasher = Hasher::new(settings.hash)?;
        let keys = Keyring::open(&db, &settings, host.clock.now()).await?;
        let throttle =
            Throttle::new(kernel::secret::open(&db, THROTTLE_SECRET).await?, host.throttled, settings.limits.clone());
        let home = settings.home(&host.url)?;
        let letters = Letters(Letterhead { service: host.name, home });
        let Host { clock, outbox, removals, .. } = host;
        let one = AccountRow::select_cols(user::Entity::find().select_only()).filter(user::Column::Id.eq(0));
        let account_sql = one.build(db.backend()).sql;
        Ok(Self(Arc::new(Inner {
            db,
            settings,
            clock,
            hasher,
            keys,
            throttle,
            outbox,
            letters,
            removals,
            registrations: Gate::new(REGISTRATIONS),
            account_sql,
        })))
    }

    /// Was the service opened on this database before, and has made its keys?
    pub async fn is_set_up(db: &Db) -> Result<bool> {
        Ok(keys::has_active(db).await? && kernel::secret::exists(db, THROTTLE_SECRET).await?)
    }

    /// An account as its owner sees it.
    async fn find_account(&self, conn: &impl ConnectionTrait, id: UserId) -> Result<Account> {
        let sql = self.0.account_sql.as_str();
        let statement = Statement::from_sql_and_values(self.0.db.backend(), sql, [id.into()]);
        let found = AccountRow::find_by_statement(statement).one(conn).await?;
        Ok(found.ok_or(Error::UserNotFound(id))?.into())
    }

    /// Leaves a notice for somebody, if it is known that letters reach them.
    async fn notify(&self, conn: &impl ConnectionTrait, user: &user::Model, subject: &str, what: &str) -> Result<()> {
        if user.email_verified_at.is_none() {
            return Ok(());
        }
        let mail = self.0.letters.notice(reader(user), subject, what)?;
        Ok(self.post(conn, user, &mail).await?)
    }

    async fn post(&self, conn: &impl ConnectionTrait, user: &user::Model, mail: &Mail) -> Result<(), DbErr> {
        self.0.outbox.post(conn, Some(user.id), mail, NOTICE_LIFE).await
    }
}

/// Somebody as the reader of letters.
fn reader(user: &user::Model) -> Reader<'_> {
    Reader { email: &user.email, name: &user.username }
}

/// Whoever has verified this address, else whoever has this name.
///
/// In this order, since an address that is verified belongs to its owner, while anybody can take it
/// for a name.
async fn find_by_name(conn: &impl ConnectionTrait, name: &str) -> Result<Option<user::Model>> {
    if name.contains('@')
        && let Some(found) = verified(&address_key(name)).one(conn).await?
    {
        return Ok(Some(found));
    }
    let key = names::key(name);
    Ok(user::Entity::find().filter(user::COLUMN.username_key.eq(key)).one(conn).await?)
}

/// Whoever has verified the address with this key.
fn verified(email_key: &str) -> Select<user::Entity> {
    let verified = user::COLUMN.email_verified_at.is_not_null();
    user::Entity::find().filter(user::COLUMN.email_key.eq(email_key).and(verified))
}

/// The superusers, as their index has it: a bound value would prove nothing to a planner.
fn superusers() -> Select<user::Entity> {
    user::Entity::find().filter(Expr::col(user::Column::IsSuperuser))
}

/// Locks the superusers against each other's removal until the transaction ends, and counts those
/// who may sign in, apart from `except`. (On SQLite there is only one writer anyway.)
async fn other_superusers(conn: &impl ConnectionTrait, except: UserId) -> Result<usize> {
    use sea_orm::QueryOrder;

    let superusers = superusers()
        .select_only()
        .column(user::Column::Id)
        .column(user::Column::IsActive)
        .order_by_asc(user::Column::Id)
        .lock_exclusive()
        .into_tuple::<(UserId, bool)>()
        .all(conn)
        .await?;
    Ok(superusers.iter().filter(|(id, active)| *id != except && *active).count())
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::{
        Caller, Roles, UserId,
        testing::{TestDb, plan},
    };
    use sea_orm::QueryOrder;

    use super::*;
    use crate::{
        AccountFilter,
        entity::{one_time_token, session, user_token},
    };

    #[tokio::test]
    async fn no_query_reads_or_sorts_a_whole_table() {
        let db = TestDb::new(crate::migrations::with_kernel).await;
        let caller = Caller::new(UserId(1), Roles::default());
        let people = || people::visible_to(&caller).limit(20);
        let host = Host::new(&db, "https://example.org".parse().unwrap());
        let accounts = SqlAccounts::open(db.handle(), Settings::default(), host).await.unwrap();
        let newest =
            |which: Expr, id| user_token::Entity::find().filter(which).order_by_desc(id).limit(20).into_query();
        let staff = |filter: &[(&str, &str)]| {
            let of = |key: &str| filter.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
            let is_active = of("is_active").map(|value| value == "true");
            let filter = AccountFilter { search: of("search"), role: of("role"), is_active };
            let select = staff::matching(&filter).unwrap();
            let select = select.order_by_asc(user::Column::UsernameKey).order_by_asc(user::Column::Id);
            select.limit(20).into_query()
        };
        let queries = [
            ("by name", people().order_by_asc(user::Column::UsernameKey).order_by_asc(user::Column::Id).into_query()),
            ("newest", people().order_by_desc(user::Column::CreatedAt).order_by_desc(user::Column::Id).into_query()),
            ("name that begins", people().filter(user::COLUMN.username_key.between("a", "b")).into_query()),
            ("verified address", verified("anna@example.org").into_query()),
            ("superusers", superusers().into_query()),
            ("user tokens", newest(user_token::COLUMN.user_id.eq(UserId(1)), user_token::Column::Id)),
            ("sessions", accounts.live_sessions(UserId(1)).order_by_desc(session::Column::Id).limit(20).into_query()),
            ("accounts", staff(&[])),
            ("accounts by role", staff(&[("role", "teacher")])),
            ("accounts of staff", staff(&[("role", "staff")])),
            ("accounts of superusers", staff(&[("role", "superuser")])),
            ("inactive accounts", staff(&[("is_active", "false")])),
            ("accounts by name", staff(&[("search", "an")])),
            ("one-time tokens", {
                let theirs = one_time_token::Entity::find().filter(one_time_token::COLUMN.user_id.eq(UserId(1)));
                theirs.filter(one_time_token::COLUMN.purpose.eq("reset_password")).into_query()
            }),
            ("outdated hashes", user::Entity::find().filter(doctor::outdated()).limit(20).into_query()),
        ];
        for (what, query) in queries {
            let plan = plan(&db, &query).await;
            let scans = |step: &str| step.trim() == "SCAN users" || step.contains("SCAN accounts_");
            let whole = plan.lines().any(|step| step.contains("Seq Scan") || scans(step));
            // An incremental sort only settles ties among rows that an index has sorted.
            let sorts = plan.replace("Incremental Sort", "").contains("Sort  (") || plan.contains("TEMP B-TREE");
            assert!(!whole && !sorts, "{what}: {plan}");
        }
    }
}
