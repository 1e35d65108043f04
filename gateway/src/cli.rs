//! The command line. Exit status 0: done; 1: found something wrong or failed; 2: misuse.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use guildhall_accounts::{NewUser, NewUserToken, WeakPassword};
use guildhall_deals::{Accounts, OrganizationId, Which};
use guildhall_kernel::{PageQuery, Roles, doctor::Severity};

use crate::{Server, Services, Settings, Sources, backup, doctor, document, logging};

/// The back end of a community: accounts, groups and more in one program.
#[derive(Parser)]
#[command(name = "guildhall", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes; they are stronger than files and environment.
#[derive(Args)]
struct Place {
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
    /// Bring the tables up to date, or see what is missing
    Migrate {
        #[command(subcommand)]
        step: Option<Migrate>,
    },
    /// Make, list and change accounts
    #[command(subcommand)]
    User(User),
    /// Make user tokens, and clear away what has expired
    #[command(subcommand)]
    Token(Token),
    /// Keys that tokens are signed with
    #[command(subcommand)]
    Keys(Keys),
    /// Look whether everything is in order; exits with 1 where something is wrong
    Doctor {
        /// Mend what is safe to mend: expired tokens, sequences, file modes
        #[arg(long)]
        fix: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take organizations away that were made for tests: with all that they hold, or not at all
    ///
    /// Without a name or number: the organizations that are marked as test data, and no others.
    CleanupTestData(Cleanup),
    /// Copy the embedded database, also while the server runs
    ///
    /// Uploaded files are not in it: they lie in the folder files of the data folder, or in an object store. Copy
    /// that folder after the database, with any tool; a file never changes once it is there.
    Backup {
        /// The file to write
        path: PathBuf,
        /// Replace a file that exists
        #[arg(long)]
        force: bool,
    },
    /// Put a copy in the place of the embedded database, while the server does not run
    Restore {
        /// The file to read
        path: PathBuf,
    },
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the description of the API (OpenAPI 3.1)
    Openapi,
}

#[derive(Args)]
struct Cleanup {
    /// The organization of this name
    #[arg(long, value_name = "NAME", conflicts_with = "org_id")]
    org_name: Option<String>,
    /// The organization with this number
    #[arg(long, value_name = "ID")]
    org_id: Option<i64>,
    /// Take the accounts along that were in them and that nothing else needs; never staff's
    #[arg(long)]
    with_users: bool,
    /// Tell what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also where there are deals
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
    /// Leave the tables as they are
    #[arg(long)]
    no_migrate: bool,
}

#[derive(Subcommand)]
enum Migrate {
    /// Apply what is pending (the default)
    Up,
    /// Take back the newest migrations
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations; exits with 1 while some are pending
    Status,
    /// Take everything back and apply it again: EVERYTHING STORED IS LOST
    Fresh {
        /// Yes, lose everything
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Subcommand)]
enum User {
    /// Make an account; its address counts as verified
    Create(NewAccount),
    /// List the accounts
    List {
        /// Which page of 100
        #[arg(long, default_value_t = 1)]
        page: u64,
    },
    /// Give somebody another password; their sessions end
    SetPassword {
        /// The username or verified address
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Let somebody no longer sign in; their sessions and user tokens end for good
    Deactivate {
        /// The username or verified address
        name: String,
    },
    /// Let somebody sign in again
    Activate {
        /// The username or verified address
        name: String,
    },
}

#[derive(Args)]
struct NewAccount {
    /// The name to sign in with
    #[arg(long)]
    username: String,
    /// The address
    #[arg(long)]
    email: String,
    /// A role; can be given several times
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
    /// Take a password that is short or common and can therefore be guessed
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
    /// Make a user token and print it, this once
    Create {
        /// Whose: the username or verified address
        #[arg(long, value_name = "NAME")]
        user: String,
        /// How many days it is valid
        #[arg(long)]
        days: Option<u32>,
        /// What to call it
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Clear away tokens that have expired, and whatever else has
    Prune,
}

#[derive(Subcommand)]
enum Keys {
    /// Make a new key to sign with; what the old one has signed stays good until it expires
    Rotate {
        /// The old key is known to others: nothing that it has signed is good any more
        #[arg(long)]
        compromised: bool,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the settings and print those in force, with secrets masked
    Check,
}

/// Runs the command that the process was called with.
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

/// Prints a line for whoever called.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        // Whoever reads has seen enough, as in `guildhall user list | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

impl Cli {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut flags = Vec::new();
        flags.extend(self.place.data_dir.map(|value| ("data_dir", value)));
        flags.extend(self.place.database_url.map(|value| ("database.url", value)));
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
                    tracing::warn!(file = %file.display(), "GUILDHALL_ENV names a file that is not there");
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
                say(outcome?.token)?;
            }
            Command::Token(Token::Prune) => {
                let services = Services::open(&load()?, true).await?;
                let outcome = services.accounts.prune().await;
                services.db.close().await?;
                for (what, count) in outcome?.counts() {
                    say(format_args!("{count} {what}"))?;
                }
            }
            Command::Keys(Keys::Rotate { compromised }) => {
                let services = Services::open(&load()?, true).await?;
                let outcome = services.accounts.rotate_keys(compromised).await;
                services.db.close().await?;
                say(format_args!("Tokens are signed with the key {} now.", outcome?))?;
                if compromised {
                    say("Nothing that another key has signed is good any more: everybody has to sign in again.")?;
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
                say(format_args!("Copied {bytes} bytes into {}, and opened the copy.", path.display()))?;
            }
            Command::Restore { path } => {
                let kept = backup::restore(&load()?, &path).await?;
                say(format_args!("The database is that of {} now.", path.display()))?;
                if let Some(kept) = kept {
                    say(format_args!("What was there is kept in {}.", kept.display()))?;
                }
                say(
                    "Sessions and tokens that were ended since are as they were then: guildhall keys rotate --compromised ends every session.",
                )?;
            }
            Command::Config(ConfigCommand::Check) => {
                for (key, value) in Settings::effective(&sources).map_err(anyhow::Error::msg)? {
                    say(format_args!("{key} = {value}"))?;
                }
            }
            Command::Openapi => say(document().to_pretty_json()?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn examine(settings: &Settings, fix: bool, json: bool) -> anyhow::Result<ExitCode> {
    let findings = doctor::run(settings, fix).await?;
    if json {
        say(serde_json::to_string_pretty(&findings)?)?;
    } else {
        for finding in &findings {
            let word = match finding.severity {
                _ if finding.fixed => "fixed",
                Severity::Ok => "ok",
                Severity::Note => "note",
                Severity::Fault => "FAULT",
            };
            say(format_args!("{word:<6} {:<16} {}", finding.check, finding.message))?;
        }
    }
    let sound = !findings.iter().any(guildhall_kernel::doctor::Finding::is_fault);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn clean_up(services: &Services, command: Cleanup) -> anyhow::Result<ExitCode> {
    let which = match (command.org_name, command.org_id) {
        (Some(name), _) => Which::Named(name),
        (None, Some(id)) => Which::Id(OrganizationId(id)),
        (None, None) => Which::Tests,
    };
    let failed = guildhall_kernel::Error::from;
    let mut people = Vec::new();
    if command.with_users {
        let looked = services.deals.clean_up(&which, Accounts::All, true, true).await.map_err(failed)?;
        let found = looked.iter().flatten().flat_map(|cleaned| cleaned.users.iter().copied());
        for id in found {
            if !services.accounts.roles_of(id).await?.is_staff() {
                people.push(id);
            }
        }
    }
    let accounts = if command.with_users { Accounts::These(&people) } else { Accounts::Stay };
    let outcome = services.deals.clean_up(&which, accounts, command.dry_run, command.force).await.map_err(failed)?;
    let cleaned = match outcome {
        Ok(cleaned) => cleaned,
        Err(refusal) => bail!(refusal),
    };
    if command.json {
        say(serde_json::to_string_pretty(&cleaned)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if cleaned.is_empty() {
        say("There is nothing to clean.")?;
    }
    for organization in &cleaned {
        let verb = if command.dry_run { "would go" } else { "is gone" };
        say(format_args!("{} (number {}) {verb}:", organization.name, organization.id))?;
        for (table, count) in &organization.rows {
            say(format_args!("{count:>10} {table}"))?;
        }
        if !organization.users.is_empty() {
            say(format_args!("{:>10} accounts", organization.users.len()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(settings: &Settings, migrate: bool) -> anyhow::Result<()> {
    let services = Services::open_to_serve(settings, migrate).await?;
    let has_superuser = services.accounts.has_superuser().await?;
    // Listened for before anybody can know that the server runs.
    let mut stop = Stop::listen()?;
    let server = Server::start(settings, services).await?;
    let url = settings.public_url(server.address())?;
    say(format_args!("Guildhall listens on http://{} and is reached as {url}", server.address()))?;
    say(format_args!("The API is described at {url}/api/docs"))?;
    if !has_superuser {
        let program = std::env::args().next().unwrap_or_else(|| "guildhall".to_owned());
        say("There is no superuser yet. Make one, in another terminal:")?;
        say(format_args!("  {program} user create --username admin --email you@example.org --role superuser"))?;
    }
    match settings.mail_host() {
        Some(host) => say(format_args!("Letters leave through {host}."))?,
        None => {
            say(
                "There is no mail server (mail.smtp_url): letters stay in the outbox, and no address can be verified.",
            )?;
        }
    }
    tracing::info!(address = %server.address(), "the server is ready");
    stop.signalled().await;
    tracing::info!("the server stops");
    tokio::select! {
        stopped = server.stop() => stopped?,
        () = stop.signalled() => bail!("stopped at once, by a second signal"),
    }
    tracing::info!("the server has stopped");
    Ok(())
}

/// The signals that end a server.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn signalled(&mut self) {
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
        say(format_args!("{} {name}", if *applied { "applied" } else { "pending" }))?;
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
            say(format_args!("Made the account {} with the id {}.", account.user.username, account.user.id))
        }
        User::List { page } => {
            let page = accounts.accounts(PageQuery::new(page, 100)).await?;
            for account in page.results {
                let state = if account.details.is_active { "active" } else { "inactive" };
                let roles = serde_json::to_value(account.user.roles)?;
                let roles: Vec<_> = roles.as_array().into_iter().flatten().filter_map(|role| role.as_str()).collect();
                let user = account.user;
                say(format_args!(
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
            say(format_args!("{name} has another password."))
        }
        User::Deactivate { name } => {
            accounts.set_active(&name, false).await?;
            say(format_args!("{name} can no longer sign in."))
        }
        User::Activate { name } => {
            accounts.set_active(&name, true).await?;
            say(format_args!("{name} can sign in again."))
        }
    }
}

/// What is wrong with each field, and what could be done about a weak password.
fn explained(error: guildhall_accounts::Error) -> anyhow::Error {
    let error = guildhall_kernel::Error::from(error);
    if error.fields().is_empty() {
        return error.into();
    }
    let told = error.fields().iter().map(|(field, messages)| format!("{field}: {}", messages.join(" ")));
    let mut told = told.collect::<Vec<_>>().join("; ");
    if error.fields().contains_key("password") {
        told.push_str(" (--allow-weak-password takes a password that can be guessed)");
    }
    anyhow::Error::msg(told)
}

impl Password {
    fn read(&self) -> anyhow::Result<(String, WeakPassword)> {
        let weak = if self.allow_weak_password { WeakPassword::Accept } else { WeakPassword::Refuse };
        if self.password_stdin {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
            return Ok((line.trim_end_matches(['\r', '\n']).to_owned(), weak));
        }
        if !io::stdin().is_terminal() {
            bail!("there is no terminal to ask for the password; use --password-stdin");
        }
        let password = rpassword::prompt_password("Password: ")?;
        if password != rpassword::prompt_password("Password again: ")? {
            bail!("the two passwords differ");
        }
        Ok((password, weak))
    }
}
