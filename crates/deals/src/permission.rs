//! Who may do what in an organization: the catalogue, what a role grants, and the roles that every
//! organization begins with.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde::Serialize;
use utoipa::ToSchema;

/// How far a permission reaches. Each holds what the one before it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// What the member owns, or has made while the organization lets makers keep what they made.
    Own,
    /// What people of the member's team own, and of the teams below one that the member leads.
    Team,
    /// Everything.
    All,
}

impl Scope {
    const ALL: [(Self, &'static str); 3] = [(Self::Own, "own"), (Self::Team, "team"), (Self::All, "all")];

    fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Team => "team",
            Self::All => "all",
        }
    }
}

macro_rules! permissions {
    ($($variant:ident, $name:literal, $scoped:literal, $text:literal;)*) => {
        /// Something that a role can let its members do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Permission {
            $(#[doc = $text] $variant,)*
        }

        impl Permission {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the wire, whether it has a scope, and what it lets one do.
            const fn about(self) -> (&'static str, bool, &'static str) {
                match self {
                    $(Self::$variant => ($name, $scoped, $text),)*
                }
            }
        }
    };
}

permissions! {
    OrganizationUpdate, "organization.update", false, "Change the organization's settings";
    OrganizationDelete, "organization.delete", false, "Remove the organization";
    MemberRead, "member.read", false, "See who is in the organization";
    MemberInvite, "member.invite", false, "Take people in";
    MemberUpdate, "member.update", false, "Change people's roles and teams";
    MemberDeactivate, "member.deactivate", false, "Shut people out";
    MemberDelete, "member.delete", false, "Remove people, and hand over what they own";
    RoleManage, "role.manage", false, "Make and change roles";
    TeamManage, "team.manage", false, "Make and change teams";
    ClientCreate, "client.create", false, "Add clients and contacts";
    ClientRead, "client.read", true, "See clients and their contacts";
    ClientUpdate, "client.update", true, "Change clients and their contacts";
    ClientDelete, "client.delete", true, "Put clients into the trash";
    ClientReassign, "client.reassign", true, "Give clients to somebody else";
    DealCreate, "deal.create", false, "Add deals";
    DealRead, "deal.read", true, "See deals";
    DealUpdate, "deal.update", true, "Change and move deals";
    DealClose, "deal.close", true, "Win, lose and reopen deals";
    DealDelete, "deal.delete", true, "Put deals into the trash";
    DealReassign, "deal.reassign", true, "Give deals to somebody else";
    DealVerify, "deal.verify", false, "Verify deals, or refuse to";
    PaymentRead, "payment.read", true, "See payments of deals that one sees";
    PaymentCreate, "payment.create", true, "Record payments";
    PaymentVerify, "payment.verify", false, "Verify payments, or refuse to";
    PaymentReverse, "payment.reverse", false, "Reverse and refund payments";
    PipelineManage, "pipeline.manage", false, "Make and change pipelines and their stages";
    TrashRestore, "trash.restore", false, "See the trash, and bring back what is in it";
    TrashPurge, "trash.purge", false, "Remove for good what is in the trash";
    AuditRead, "audit.read", false, "Read what was changed, by whom and when";
    ReportRead, "report.read", true, "See reports about deals that one sees";
    ImportRun, "import.run", false, "Read tables of clients and deals in, and take them back";
    ExportRun, "export.run", false, "Write tables of the clients and deals that one sees";
    CommissionRead, "commission.read", true, "See what people earn";
    CommissionManage, "commission.manage", false, "Say how much people earn";
    TaskRead, "task.read", true, "See tasks";
    ViewShare, "view.share", false, "Share views with a team or everybody";
    CustomFieldManage, "customfield.manage", false, "Add fields to clients and deals, and change them";
    WebhookManage, "webhook.manage", false, "Have others told what happens";
    TaskUpdate, "task.update", true, "Change, finish and remove tasks";
}

impl Permission {
    /// Its name on the wire, without a scope.
    pub(crate) fn name(self) -> &'static str {
        self.about().0
    }
}

/// A permission as the catalogue shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogueEntry {
    /// The word, as roles have it.
    #[schema(example = "deal.read:team")]
    pub permission: String,
    /// What it is about.
    #[schema(example = "deal")]
    pub entity: &'static str,
    /// What it lets one do with it.
    #[schema(example = "read")]
    pub action: &'static str,
    /// How far it reaches: `own`, `team` or `all`; none where that makes no difference.
    pub scope: Option<&'static str>,
    /// The same in words for people.
    pub description: &'static str,
}

/// Every permission there is.
pub fn catalogue() -> Vec<CatalogueEntry> {
    let mut all = Vec::new();
    for permission in Permission::ALL {
        let (name, scoped, description) = permission.about();
        let (entity, action) = name.split_once('.').unwrap_or((name, ""));
        let scopes: &[Option<Scope>] =
            if scoped { &[Some(Scope::Own), Some(Scope::Team), Some(Scope::All)] } else { &[None] };
        all.extend(scopes.iter().map(|scope| CatalogueEntry {
            permission: scope.map_or_else(|| name.to_owned(), |scope| format!("{name}:{}", scope.word())),
            entity,
            action,
            scope: scope.map(Scope::word),
            description,
        }));
    }
    all
}

/// What a word grants, and how far; none where it is unknown.
fn read(word: &str) -> Option<(Permission, Scope)> {
    static NAMES: LazyLock<HashMap<&str, Permission>> =
        LazyLock::new(|| Permission::ALL.iter().map(|permission| (permission.about().0, *permission)).collect());
    let (name, scope) = word.split_once(':').map_or((word, None), |(name, scope)| (name, Some(scope)));
    let permission = *NAMES.get(name)?;
    let scope = match scope {
        None => Scope::All,
        Some(_) if !permission.about().1 => return None,
        Some(scope) => Scope::ALL.iter().find(|(_, name)| *name == scope)?.0,
    };
    Some((permission, scope))
}

/// What a role lets its members do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants(BTreeMap<Permission, Scope>);

impl Grants {
    /// Everything.
    pub(crate) fn everything() -> Self {
        Self(Permission::ALL.iter().map(|permission| (*permission, Scope::All)).collect())
    }

    /// Reads the words of a role; one without a scope reaches everything. Gives the first that is unknown.
    pub(crate) fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, String> {
        let mut grants = Self::default();
        for word in words.iter().map(AsRef::as_ref) {
            grants.add(read(word).ok_or_else(|| word.to_owned())?);
        }
        Ok(grants)
    }

    /// The same of a role that was stored: a word that this version does not know grants nothing.
    pub(crate) fn stored(words: &[&str]) -> Self {
        let mut grants = Self::default();
        words.iter().filter_map(|word| read(word)).for_each(|granted| grants.add(granted));
        grants
    }

    fn add(&mut self, (permission, scope): (Permission, Scope)) {
        let granted = self.0.entry(permission).or_insert(scope);
        *granted = scope.max(*granted);
    }

    /// The words, as the catalogue has them.
    pub(crate) fn words(&self) -> Vec<String> {
        let word = |(permission, scope): (&Permission, &Scope)| match permission.about() {
            (name, true, _) => format!("{name}:{}", scope.word()),
            (name, false, _) => name.to_owned(),
        };
        self.0.iter().map(word).collect()
    }

    /// How far a permission reaches; none where it is not granted.
    pub(crate) fn scope(&self, permission: Permission) -> Option<Scope> {
        self.0.get(&permission).copied()
    }

    /// Does this hold all that the other grants? Nobody gives what they lack.
    pub(crate) fn hold(&self, other: &Self) -> bool {
        other.0.iter().all(|(permission, scope)| self.scope(*permission).is_some_and(|own| own >= *scope))
    }

    /// Does anything in it reach as far as a team?
    pub(crate) fn know_teams(&self) -> bool {
        self.0.values().any(|scope| *scope == Scope::Team)
    }
}

/// A role that every organization begins with.
pub(crate) struct Preset {
    /// What programs call it.
    pub(crate) key: &'static str,
    /// What people call it.
    pub(crate) name: &'static str,
    /// Its words; the owner's are everything.
    pub(crate) words: &'static [&'static str],
}

/// The key of the owner's role.
pub(crate) const OWNER: &str = "owner";

/// The roles that every organization begins with, the owner's first.
pub(crate) const PRESETS: &[Preset] = &[
    Preset { key: OWNER, name: "Owner", words: &[] },
    Preset {
        key: "admin",
        name: "Admin",
        words: &[
            "organization.update",
            "member.read",
            "member.invite",
            "member.update",
            "member.deactivate",
            "member.delete",
            "role.manage",
            "team.manage",
            "client.create",
            "client.read",
            "client.update",
            "client.delete",
            "client.reassign",
            "deal.create",
            "deal.read",
            "deal.update",
            "deal.close",
            "deal.delete",
            "deal.reassign",
            "deal.verify",
            "payment.read",
            "payment.create",
            "payment.verify",
            "payment.reverse",
            "pipeline.manage",
            "trash.restore",
            "audit.read",
            "report.read",
            "import.run",
            "export.run",
            "commission.read",
            "commission.manage",
            "view.share",
            "customfield.manage",
            "webhook.manage",
            "task.read",
            "task.update",
        ],
    },
    Preset {
        key: "sales_manager",
        name: "Sales manager",
        words: &[
            "member.read",
            "client.create",
            "client.read:team",
            "client.update:team",
            "client.delete:team",
            "client.reassign:team",
            "deal.create",
            "deal.read:team",
            "deal.update:team",
            "deal.close:team",
            "deal.delete:team",
            "deal.reassign:team",
            "payment.read:team",
            "payment.create:team",
            "report.read:team",
            "import.run",
            "export.run",
            "commission.read:own",
            "view.share",
            "task.read:team",
            "task.update:team",
        ],
    },
    Preset {
        key: "salesperson",
        name: "Salesperson",
        words: &[
            "member.read",
            "client.create",
            "client.read:own",
            "client.update:own",
            "client.delete:own",
            "deal.create",
            "deal.read:own",
            "deal.update:own",
            "deal.close:own",
            "deal.delete:own",
            "payment.read:own",
            "payment.create:own",
            "report.read:own",
            "commission.read:own",
            "task.read:own",
            "task.update:own",
        ],
    },
    Preset {
        key: "verifier",
        name: "Verifier",
        words: &[
            "member.read",
            "client.read",
            "deal.read",
            "deal.verify",
            "payment.read",
            "payment.verify",
            "payment.reverse",
            "audit.read",
            "report.read",
            "export.run",
            "commission.read",
        ],
    },
    Preset { key: "viewer", name: "Viewer", words: &["member.read", "client.read", "deal.read"] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_said_in_the_words_of_the_catalogue() {
        let words: Vec<String> = catalogue().into_iter().map(|entry| entry.permission).collect();
        for preset in PRESETS {
            let grants = Grants::parse(preset.words).unwrap();
            assert!(grants.words().iter().all(|word| words.contains(word)), "{}", preset.key);
            assert_eq!(Grants::parse(&grants.words()).unwrap(), grants);
            assert!(Grants::everything().hold(&grants));
        }
        assert_eq!(Grants::parse(&words).unwrap(), Grants::everything());
    }

    #[test]
    fn a_word_that_is_none_is_refused() {
        for word in ["deal", "deal.fly", "deal.read:mine", "pipeline.manage:all", "", "deal.read:"] {
            assert_eq!(Grants::parse(&[word]).unwrap_err(), word);
        }
    }

    #[test]
    fn a_wider_scope_holds_a_narrower_one_and_not_the_other_way_round() {
        let parse = |words: &[&str]| Grants::parse(words).unwrap();
        assert!(parse(&["deal.read"]).hold(&parse(&["deal.read:team"])));
        assert!(parse(&["deal.read:team"]).hold(&parse(&["deal.read:own"])));
        assert!(!parse(&["deal.read:own"]).hold(&parse(&["deal.read:team"])));
        assert!(!parse(&["deal.read"]).hold(&parse(&["client.read:own"])));
        assert!(parse(&[]).hold(&parse(&[])));
        assert_eq!(parse(&["deal.read:own", "deal.read:team"]).words(), ["deal.read:team"]);
    }
}
