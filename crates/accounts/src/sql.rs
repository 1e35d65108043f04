//! The implementation of the services on a database.

mod accounts;
mod authenticate;
mod credentials;
mod directory;
mod doctor;
mod email_addresses;
mod first_start;
mod issued_tokens;
mod keys;
mod one_time;
mod operator;
mod passwords;
mod people;
mod pictures;
mod prune;
mod removals;
mod second_factors;
mod sessions;
mod staff;
mod throttle;
mod tokens;
mod user_tokens;
mod user_tx;

use std::{sync::Arc, time::Duration};

use guildhall_files::Files;
use guildhall_kernel::{
    self as kernel, Clock, Db, Gate, GateLimits, Outbox, PublicUrl, UserId, UserRemoval,
    db::{self, Tx},
    mail::{EmailBranding, Mail, address_key},
};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};

pub use operator::WeakPassword;
pub use prune::Pruned;

use crate::{
    Account, Error, Result, Settings, User,
    emails::{Emails, Recipient},
    entity::user,
    hasher::Hasher,
    model::{AccountRow, UserRow},
    names,
    throttle::Throttle,
};
use keys::Keyring;
use people::KeptPeople;

/// How long delivery of a security alert is attempted.
const ALERT_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The name of the secret that throttle counters are hashed with.
const THROTTLE_SECRET: &str = "accounts.throttle";

/// An [`AccountRow`] by its id. Constant text, since it runs too often to be built each time.
const ACCOUNT: &str = "SELECT id AS user_id, username AS user_username, display_name AS user_display_name, \
     first_name AS user_first_name, last_name AS user_last_name, is_teacher AS user_is_teacher, \
     is_staff AS user_is_staff, is_superuser AS user_is_superuser, created_at AS user_created_at, \
     picture_id AS user_picture_id, email, email_verified_at, is_active, last_login, updated_at \
     FROM users WHERE id = $1";

/// Limits on concurrent registrations.
const REGISTRATIONS: GateLimits = GateLimits { at_once: 1, queue: 32, per_person: 1, patience: Duration::from_secs(5) };

/// The environment of the services.
#[derive(Clone)]
pub struct Host {
    /// The clock.
    pub clock: Clock,
    /// The outbox for emails.
    pub outbox: Outbox,
    /// The files, for the pictures of users.
    pub files: Files,
    /// The name of the service, for emails.
    pub name: String,
    /// The public URL of the service.
    pub url: PublicUrl,
    /// Whether throttling and rate limits are enabled. Only load tests disable them.
    pub throttled: bool,
    /// The domains that take part in the deletion of a user.
    pub removals: Vec<Arc<dyn UserRemoval>>,
}

impl Host {
    /// A host with this public URL, the system clock and no other domains.
    pub fn new(db: &Db, files: Files, url: PublicUrl) -> Self {
        let clock = Clock::system();
        let outbox = Outbox::new(db.clone(), clock.clone());
        Self { clock, outbox, files, name: "Guildhall".to_owned(), url, throttled: true, removals: Vec::new() }
    }
}

/// Accounts and tokens on a database: implements all service traits of this crate,
/// [`Authenticate`](kernel::Authenticate), [`Directory`](kernel::Directory), [`AccountCleanup`](kernel::AccountCleanup)
/// and [`Job`](kernel::job::Job).
#[derive(Clone)]
pub struct SqlAccounts(Arc<Inner>);

struct Inner {
    db: Db,
    settings: Settings,
    clock: Clock,
    hasher: Hasher,
    keys: Keyring,
    people: KeptPeople,
    throttle: Throttle,
    outbox: Outbox,
    files: Files,
    emails: Emails,
    removals: Vec<Arc<dyn UserRemoval>>,
    /// Registrations hash passwords too; without this limit they could fill the hasher's queue and block sign-ins.
    registrations: Gate,
}

impl SqlAccounts {
    /// Opens the service on a migrated database; creates the first signing key if there is none.
    pub async fn open(db: Db, settings: Settings, host: Host) -> Result<Self> {
        let hasher = Hasher::new(settings.hash)?;
        let keys = Keyring::open(&db, &settings, host.clock.now()).await?;
        let throttle =
            Throttle::new(kernel::secret::open(&db, THROTTLE_SECRET).await?, host.throttled, settings.limits.clone());
        let home = settings.home(&host.url)?;
        let emails = Emails(EmailBranding { service: host.name, home });
        let Host { clock, outbox, files, removals, .. } = host;
        Ok(Self(Arc::new(Inner {
            db,
            settings,
            clock,
            hasher,
            keys,
            people: KeptPeople::default(),
            throttle,
            outbox,
            files,
            emails,
            removals,
            registrations: Gate::new(REGISTRATIONS),
        })))
    }

    /// Whether the service has been opened on this database before and has created its keys.
    pub async fn is_set_up(db: &Db) -> Result<bool> {
        Ok(keys::has_active(db).await? && kernel::secret::exists(db, THROTTLE_SECRET).await?)
    }

    /// The files of the pictures.
    pub(crate) fn files(&self) -> &Files {
        &self.0.files
    }

    fn to_user(&self, row: UserRow) -> User {
        row.into_user(&self.0.files)
    }

    fn to_account(&self, row: impl Into<AccountRow>) -> Account {
        row.into().into_account(&self.0.files)
    }

    /// An account as its owner sees it.
    async fn find_account(&self, conn: &impl ConnectionTrait, id: UserId) -> Result<Account> {
        let found = db::row::<AccountRow>(conn, ACCOUNT, [id.into()]).await?;
        Ok(self.to_account(found.ok_or(Error::UserNotFound(id))?))
    }

    /// Enqueues a security alert, if the user's email address is verified.
    async fn notify(&self, conn: &Tx, user: &user::Model, subject: &str, message: &str) -> Result<()> {
        if user.email_verified_at.is_none() {
            return Ok(());
        }
        let mail = self.0.emails.alert(recipient(user), subject, message)?;
        Ok(self.enqueue_alert(conn, user, &mail).await?)
    }

    async fn enqueue_alert(&self, conn: &Tx, user: &user::Model, mail: &Mail) -> Result<(), DbErr> {
        self.0.outbox.enqueue_email(conn, Some(user.id), mail, ALERT_LIFETIME).await
    }
}

fn recipient(user: &user::Model) -> Recipient<'_> {
    Recipient { email: &user.email, name: &user.username }
}

/// The user with this verified email address, else the user with this username.
///
/// The verified address comes first, since anybody can register somebody else's address as a username.
async fn find_by_login(conn: &impl ConnectionTrait, name: &str) -> Result<Option<user::Model>> {
    if name.contains('@')
        && let Some(found) = verified(&address_key(name)).one(conn).await?
    {
        return Ok(Some(found));
    }
    let key = names::key(name);
    Ok(user::Entity::find().filter(user::COLUMN.username_key.eq(key)).one(conn).await?)
}

/// The user who has verified the email address with this key.
fn verified(email_key: &str) -> Select<user::Entity> {
    let verified = user::COLUMN.email_verified_at.is_not_null();
    user::Entity::find().filter(user::COLUMN.email_key.eq(email_key).and(verified))
}

/// The superusers. The condition has no bound value, so that the planner can use the partial index.
fn superusers() -> Select<user::Entity> {
    user::Entity::find().filter(Expr::col(user::Column::IsSuperuser))
}

/// Counts the active superusers other than `except`. Locks all superusers until the transaction ends, so
/// that two of them cannot remove each other concurrently. (SQLite has only one writer anyway.)
async fn other_superusers(conn: &impl ConnectionTrait, except: UserId) -> Result<usize> {
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
    use guildhall_files::{FileId, FolderStore, UploadLimits};
    use guildhall_kernel::{
        UserId,
        testing::{TestDb, plan},
    };
    use sea_orm::{ColumnTrait, QueryTrait};

    use super::*;
    use crate::{
        AccountFilter,
        entity::{one_time_token, session, user_token},
    };

    #[tokio::test]
    async fn no_query_scans_or_sorts_a_whole_table() {
        let db = TestDb::new(crate::migrations::all).await;
        let users = || accounts::visible_to(false).limit(20);
        let store = Arc::new(FolderStore::new("unused"));
        let limits = UploadLimits::up_to(1);
        let files = Files::open(db.handle(), store, Clock::system(), "https://example.org".parse().unwrap(), limits);
        let host = Host::new(&db, files.await.unwrap(), "https://example.org".parse().unwrap());
        let accounts = SqlAccounts::open(db.handle(), Settings::default(), host).await.unwrap();
        let newest =
            |filter: Expr, id| user_token::Entity::find().filter(filter).order_by_desc(id).limit(20).into_query();
        let staff = |filter: &[(&str, &str)]| {
            let value = |key: &str| filter.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
            let is_active = value("is_active").map(|value| value == "true");
            let filter = AccountFilter { search: value("search"), role: value("role"), is_active };
            let select = staff::matching(&filter).unwrap();
            let select = select.order_by_asc(user::Column::UsernameKey).order_by_asc(user::Column::Id);
            select.limit(20).into_query()
        };
        let queries = [
            ("by name", users().order_by_asc(user::Column::UsernameKey).order_by_asc(user::Column::Id).into_query()),
            ("newest", users().order_by_desc(user::Column::CreatedAt).order_by_desc(user::Column::Id).into_query()),
            ("by name prefix", users().filter(user::COLUMN.username_key.between("a", "b")).into_query()),
            ("verified address", verified("anna@example.org").into_query()),
            ("superusers", superusers().into_query()),
            ("user tokens", newest(user_token::COLUMN.user_id.eq(UserId(1)), user_token::Column::Id)),
            ("sessions", accounts.live_sessions(UserId(1)).order_by_desc(session::Column::Id).limit(20).into_query()),
            ("accounts", staff(&[])),
            ("accounts by role", staff(&[("role", "teacher")])),
            ("staff accounts", staff(&[("role", "staff")])),
            ("superuser accounts", staff(&[("role", "superuser")])),
            ("inactive accounts", staff(&[("is_active", "false")])),
            ("accounts by name", staff(&[("search", "an")])),
            ("one-time tokens", {
                let tokens = one_time_token::Entity::find().filter(one_time_token::COLUMN.user_id.eq(UserId(1)));
                tokens.filter(one_time_token::COLUMN.purpose.eq("reset_password")).into_query()
            }),
            ("picture", user::Entity::find().filter(user::COLUMN.picture_id.eq(FileId(1))).into_query()),
            ("outdated hashes", user::Entity::find().filter(doctor::outdated()).limit(20).into_query()),
        ];
        for (name, query) in queries {
            let plan = plan(&db, &query).await;
            let is_scan = |step: &str| step.trim() == "SCAN users" || step.contains("SCAN accounts_");
            let scans = plan.lines().any(|step| step.contains("Seq Scan") || is_scan(step));
            // An incremental sort only orders ties among rows that an index has already sorted.
            let sorts = plan.replace("Incremental Sort", "").contains("Sort  (") || plan.contains("TEMP B-TREE");
            assert!(!scans && !sorts, "{name}: {plan}");
        }
    }
}
