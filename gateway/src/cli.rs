//! The command line. Exit status 0: success; 1: failure or errors found; 2: usage error.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use guildhall_accounts::{NewUser, NewUserToken, WeakPassword};
use guildhall_deals::{OrganizationId, OrganizationSelector};
use guildhall_kernel::{AccountCleanup, PageQuery, Roles, doctor::Severity};

use crate::{Server, Services, Settings, Sources, backup, doctor, document, logging};

/// A community back end: accounts, groups, organizations and more in one program.
#[derive(Parser)]
#[command(name = "guildhall", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    command: Command,
}

/// Global options; they override the settings from files and the environment.
#[derive(Args)]
struct Overrides {
    /// The data folder (`data_dir`)
    #[arg(long, global = true, value_name = "PATH")]
    data_dir: Option<String>,
    /// The database (`database.url`)
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Serve),
    /// Apply migrations, or show what is pending
    Migrate {
        #[command(subcommand)]
        step: Option<Migrate>,
    },
    /// Create, list and change accounts
    #[command(subcommand)]
    User(User),
    /// Create user tokens and delete expired ones
    #[command(subcommand)]
    Token(Token),
    /// Manage the keys that sign tokens
    #[command(subcommand)]
    Keys(Keys),
    /// Check the installation; exits with 1 if there are errors
    Doctor {
        /// Repair what is safe to repair: counters, totals, sequences, failed events, expired tokens, file modes
        #[arg(long)]
        fix: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete test organizations with all their data; if one cannot be deleted, none is
    ///
    /// Without a name or ID, deletes the organizations that are marked as test data.
    CleanupTestData(Cleanup),
    /// Copy the embedded database; the server may be running
    ///
    /// Uploaded files are not included: they are in the folder `files` of the data folder, or in an object store. Copy
    /// that folder after the database, with any tool; uploaded files never change.
    Backup {
        /// The file to write
        path: PathBuf,
        /// Replace an existing file
        #[arg(long)]
        force: bool,
    },
    /// Replace the embedded database with a copy; the server must be stopped
    Restore {
        /// The file to read
        path: PathBuf,
    },
    /// Inspect the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI 3.1 document of the API
    Openapi,
}

#[derive(Args)]
struct Cleanup {
    /// The organization with this name
    #[arg(long, value_name = "NAME", conflicts_with = "org_id")]
    org_name: Option<String>,
    /// The organization with this ID
    #[arg(long, value_name = "ID")]
    org_id: Option<i64>,
    /// Also delete members' accounts that nothing else needs; never staff accounts
    #[arg(long)]
    with_users: bool,
    /// Print what would be deleted, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also delete organizations that have deals
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Serve {
    /// Address and port to listen on (`server.bind`)
    #[arg(long, value_name = "HOST:PORT")]
    bind: Option<String>,
    /// Do not apply pending migrations
    #[arg(long)]
    no_migrate: bool,
}

#[derive(Subcommand)]
enum Migrate {
    /// Apply pending migrations (the default)
    Up,
    /// Revert the newest migrations
    Down {
        /// How many migrations to revert
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations; exits with 1 if any are pending
    Status,
    /// Revert all migrations and apply them again: ALL DATA IS LOST
    Fresh {
        /// Confirm that all data will be lost
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Subcommand)]
enum User {
    /// Create an account; its email address counts as verified
    Create(NewAccount),
    /// List the accounts
    List {
        /// The page, of 100 accounts each
        #[arg(long, default_value_t = 1)]
        page: u64,
    },
    /// Set the password of an account; its sessions end
    SetPassword {
        /// The username or verified email address
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Deactivate an account; its sessions and user tokens are revoked
    Deactivate {
        /// The username or verified email address
        name: String,
    },
    /// Activate an account again
    Activate {
        /// The username or verified email address
        name: String,
    },
}

#[derive(Args)]
struct NewAccount {
    /// The username
    #[arg(long)]
    username: String,
    /// The email address
    #[arg(long)]
    email: String,
    /// A role; may be given several times
    #[arg(long, value_enum)]
    role: Vec<Role>,
    #[command(flatten)]
    password: Password,
}

#[derive(Args)]
struct Password {
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
    /// Accept a short or common password, which can be guessed
    #[arg(long)]
    allow_weak_password: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Teacher,
    Staff,
    Superuser,
}

#[derive(Subcommand)]
enum Token {
    /// Create a user token and print it; it cannot be shown again
    Create {
        /// The owner's username or verified email address
        #[arg(long, value_name = "NAME")]
        user: String,
        /// Number of days until it expires
        #[arg(long)]
        days: Option<u32>,
        /// The name of the token
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Delete expired tokens and other expired data
    Prune,
}

#[derive(Subcommand)]
enum Keys {
    /// Create a new signing key; tokens signed with the old one stay valid until they expire
    Rotate {
        /// The old key has leaked: invalidate all tokens signed with it
        #[arg(long)]
        compromised: bool,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the settings and print the effective values, with secrets masked
    Check,
}

/// Runs the command given on the command line.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "guildhall: {error:#}");
    ExitCode::FAILURE
}

/// Prints a line to standard output.
fn print_line(line: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        // The reader has closed the pipe, as in `guildhall user list | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

impl Cli {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut flags = Vec::new();
        flags.extend(self.overrides.data_dir.map(|value| ("data_dir", value)));
        flags.extend(self.overrides.database_url.map(|value| ("database.url", value)));
        if let Command::Serve(Serve { bind: Some(bind), .. }) = &self.command {
            flags.push(("server.bind", bind.clone()));
        }
        let sources = Sources::of_process(flags);
        let load = || Settings::load(&sources).map_err(anyhow::Error::msg);
        match self.command {
            Command::Serve(command) => {
                let settings = load()?;
                logging::start(&settings.log)?;
                if let Some(file) = sources.missing_file() {
                    tracing::warn!(file = %file.display(), "the file that GUILDHALL_ENV names does not exist");
                }
                serve(&settings, !command.no_migrate).await?;
            }
            Command::Migrate { step } => return migrate(&load()?, step.unwrap_or(Migrate::Up)).await,
            Command::User(command) => {
                let services = Services::open(&load()?, true).await?;
                let outcome = user(&services, command).await;
                services.db.close().await?;
                outcome?;
            }
            Command::Token(Token::Create { user, days, name }) => {
                let services = Services::open(&load()?, true).await?;
                let new = NewUserToken { name, expires_in_days: days, ..NewUserToken::default() };
                let outcome = services.accounts.create_token_for(&user, new).await.map_err(explained);
                services.db.close().await?;
                print_line(outcome?.token)?;
            }
            Command::Token(Token::Prune) => {
                let services = Services::open(&load()?, true).await?;
                let outcome = services.accounts.prune().await;
                services.db.close().await?;
                for (what, count) in outcome?.counts() {
                    print_line(format_args!("{count} {what}"))?;
                }
            }
            Command::Keys(Keys::Rotate { compromised }) => {
                let services = Services::open(&load()?, true).await?;
                let outcome = services.accounts.rotate_keys(compromised).await;
                services.db.close().await?;
                print_line(format_args!("Tokens are now signed with the key {}.", outcome?))?;
                if compromised {
                    print_line("Tokens signed with other keys are no longer valid: everybody has to sign in again.")?;
                }
            }
            Command::CleanupTestData(command) => {
                let services = Services::open(&load()?, true).await?;
                let outcome = clean_up(&services, command).await;
                services.db.close().await?;
                return outcome;
            }
            Command::Doctor { fix, json } => return examine(&load()?, fix, json).await,
            Command::Backup { path, force } => {
                let bytes = backup::backup(&load()?, &path, force).await?;
                print_line(format_args!("Copied {bytes} bytes to {} and verified the copy.", path.display()))?;
            }
            Command::Restore { path } => {
                let previous = backup::restore(&load()?, &path).await?;
                print_line(format_args!("Restored the database from {}.", path.display()))?;
                if let Some(previous) = previous {
                    print_line(format_args!("The previous database was moved to {}.", previous.display()))?;
                }
                print_line(
                    "Sessions and tokens revoked since the copy was made are valid again. \
                     To end every session, run: guildhall keys rotate --compromised",
                )?;
            }
            Command::Config(ConfigCommand::Check) => {
                for (key, value) in Settings::effective(&sources).map_err(anyhow::Error::msg)? {
                    print_line(format_args!("{key} = {value}"))?;
                }
            }
            Command::Openapi => print_line(document().to_pretty_json()?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn examine(settings: &Settings, fix: bool, json: bool) -> anyhow::Result<ExitCode> {
    let findings = doctor::run(settings, fix).await?;
    if json {
        print_line(serde_json::to_string_pretty(&findings)?)?;
    } else {
        for finding in &findings {
            let label = match finding.severity {
                _ if finding.fixed => "fixed",
                Severity::Ok => "ok",
                Severity::Note => "note",
                Severity::Error => "ERROR",
            };
            print_line(format_args!("{label:<6} {:<16} {}", finding.check, finding.message))?;
        }
    }
    let healthy = !findings.iter().any(guildhall_kernel::doctor::Finding::is_error);
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn clean_up(services: &Services, command: Cleanup) -> anyhow::Result<ExitCode> {
    let selector = match (command.org_name, command.org_id) {
        (Some(name), _) => OrganizationSelector::Named(name),
        (None, Some(id)) => OrganizationSelector::Id(OrganizationId(id)),
        (None, None) => OrganizationSelector::Tests,
    };
    let failed = guildhall_kernel::Error::from;
    let accounts = command.with_users.then_some(&services.accounts as &dyn AccountCleanup);
    let tenancy = &services.deals.tenancy;
    let outcome = tenancy.clean_up(&selector, accounts, command.dry_run, command.force).await.map_err(failed)?;
    let cleaned = match outcome {
        Ok(cleaned) => cleaned,
        Err(refusal) => bail!(refusal),
    };
    if command.json {
        print_line(serde_json::to_string_pretty(&cleaned)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if cleaned.is_empty() {
        print_line("Nothing to clean up.")?;
    }
    for organization in &cleaned {
        let verb = if command.dry_run { "would be deleted" } else { "was deleted" };
        print_line(format_args!("{} (ID {}) {verb}:", organization.name, organization.id))?;
        for (table, count) in &organization.rows {
            print_line(format_args!("{count:>10} {table}"))?;
        }
        if !organization.users.is_empty() {
            print_line(format_args!("{:>10} accounts", organization.users.len()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(settings: &Settings, migrate: bool) -> anyhow::Result<()> {
    let services = Services::open_to_serve(settings, migrate).await?;
    let has_superuser = services.accounts.has_superuser().await?;
    // Installed before anybody can know that the server is running.
    let mut signals = Signals::listen()?;
    let server = Server::start(settings, services).await?;
    let url = settings.public_url(server.address())?;
    print_line(format_args!("Guildhall listens on http://{}, public URL {url}", server.address()))?;
    print_line(format_args!("API documentation: {url}/api/docs"))?;
    if !has_superuser {
        let program = std::env::args().next().unwrap_or_else(|| "guildhall".to_owned());
        print_line("There is no superuser yet. Create one in another terminal:")?;
        print_line(format_args!("  {program} user create --username admin --email you@example.org --role superuser"))?;
    }
    match settings.mail_host() {
        Some(host) => print_line(format_args!("Emails are sent through {host}."))?,
        None => {
            print_line("No mail server is configured (mail.smtp_url): emails stay in the outbox.")?;
        }
    }
    tracing::info!(address = %server.address(), "the server is ready");
    signals.received().await;
    tracing::info!("the server is shutting down");
    tokio::select! {
        stopped = server.stop() => stopped?,
        () = signals.received() => bail!("aborted by a second signal"),
    }
    tracing::info!("the server has stopped");
    Ok(())
}

/// The signals that stop the server.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn migrate(settings: &Settings, step: Migrate) -> anyhow::Result<ExitCode> {
    let (db, _in_use) = Services::database(settings).await?;
    let all = guildhall_migration::all;
    match step {
        Migrate::Up => db.migrate(all).await?,
        Migrate::Down { steps } => db.migrate_down(all, steps).await?,
        Migrate::Fresh { .. } => db.migrate_fresh(all).await?,
        Migrate::Status => {}
    }
    let status = db.migration_status(all).await?;
    db.close().await?;
    for (name, applied) in &status {
        print_line(format_args!("{} {name}", if *applied { "applied" } else { "pending" }))?;
    }
    let pending = matches!(step, Migrate::Status) && status.iter().any(|(_, applied)| !applied);
    Ok(if pending { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn user(services: &Services, command: User) -> anyhow::Result<()> {
    let accounts = &services.accounts;
    match command {
        User::Create(new) => {
            let (password, weak) = new.password.read()?;
            let roles = Roles {
                teacher: new.role.contains(&Role::Teacher),
                staff: new.role.contains(&Role::Staff),
                superuser: new.role.contains(&Role::Superuser),
            };
            let new = NewUser {
                username: new.username,
                email: new.email,
                password,
                first_name: String::new(),
                last_name: String::new(),
            };
            let account = accounts.create_user(new, roles, weak).await.map_err(explained)?;
            print_line(format_args!("Created the account {} with the ID {}.", account.user.username, account.user.id))
        }
        User::List { page } => {
            let page = accounts.accounts(PageQuery::new(page, 100)).await?;
            for account in page.results {
                let state = if account.details.is_active { "active" } else { "inactive" };
                let roles = serde_json::to_value(account.user.roles)?;
                let roles: Vec<_> = roles.as_array().into_iter().flatten().filter_map(|role| role.as_str()).collect();
                let user = account.user;
                print_line(format_args!(
                    "{}\t{}\t{}\t{state}\t{}",
                    user.id,
                    user.username,
                    account.details.email,
                    roles.join(",")
                ))?;
            }
            Ok(())
        }
        User::SetPassword { name, password } => {
            let (password, weak) = password.read()?;
            accounts.set_password(&name, &password, weak).await.map_err(explained)?;
            print_line(format_args!("Changed the password of {name}."))
        }
        User::Deactivate { name } => {
            accounts.set_active(&name, false).await?;
            print_line(format_args!("{name} can no longer sign in."))
        }
        User::Activate { name } => {
            accounts.set_active(&name, true).await?;
            print_line(format_args!("{name} can sign in again."))
        }
    }
}

/// Turns field errors into one message, with a hint about weak passwords.
fn explained(error: guildhall_accounts::Error) -> anyhow::Error {
    let error = guildhall_kernel::Error::from(error);
    if error.fields().is_empty() {
        return error.into();
    }
    let messages = error.fields().iter().map(|(field, messages)| format!("{field}: {}", messages.join(" ")));
    let mut message = messages.collect::<Vec<_>>().join("; ");
    if error.fields().contains_key("password") {
        message.push_str(" (--allow-weak-password accepts a weak password)");
    }
    anyhow::Error::msg(message)
}

impl Password {
    fn read(&self) -> anyhow::Result<(String, WeakPassword)> {
        let weak = if self.allow_weak_password { WeakPassword::Accept } else { WeakPassword::Reject };
        if self.password_stdin {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
            return Ok((line.trim_end_matches(['\r', '\n']).to_owned(), weak));
        }
        if !io::stdin().is_terminal() {
            bail!("cannot ask for the password without a terminal; use --password-stdin");
        }
        let password = rpassword::prompt_password("Password: ")?;
        if password != rpassword::prompt_password("Password again: ")? {
            bail!("the passwords do not match");
        }
        Ok((password, weak))
    }
}
