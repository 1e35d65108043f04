//! Permissions in an organization: the catalogue, the grants of a role, and the preset roles.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde::Serialize;
use utoipa::ToSchema;

/// The objects that a permission covers. Each scope includes the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Objects that the member owns, or has created if creators keep access in the organization.
    Own,
    /// Also objects owned by the member's team, and by its subteams if the member leads it.
    Team,
    /// All objects.
    All,
}

impl Scope {
    const ALL: [(Self, &'static str); 3] = [(Self::Own, "own"), (Self::Team, "team"), (Self::All, "all")];

    fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Team => "team",
            Self::All => "all",
        }
    }
}

macro_rules! permissions {
    ($($variant:ident, $name:literal, $scoped:literal, $text:literal;)*) => {
        /// A permission that a role can grant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Permission {
            $(#[doc = $text] $variant,)*
        }

        impl Permission {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the API, whether it has a scope, and the description.
            const fn definition(self) -> (&'static str, bool, &'static str) {
                match self {
                    $(Self::$variant => ($name, $scoped, $text),)*
                }
            }
        }
    };
}

permissions! {
    OrganizationUpdate, "organization.update", false, "Change the organization's settings";
    OrganizationDelete, "organization.delete", false, "Delete the organization";
    MemberRead, "member.read", false, "View members";
    MemberInvite, "member.invite", false, "Invite members";
    MemberUpdate, "member.update", false, "Change the roles and teams of members";
    MemberDeactivate, "member.deactivate", false, "Deactivate members";
    MemberDelete, "member.delete", false, "Remove members, and reassign what they own";
    RoleManage, "role.manage", false, "Create, change and delete roles";
    TeamManage, "team.manage", false, "Create, change and delete teams";
    ClientCreate, "client.create", false, "Create clients and contacts";
    ClientRead, "client.read", true, "View clients and their contacts";
    ClientUpdate, "client.update", true, "Change clients and their contacts";
    ClientDelete, "client.delete", true, "Delete clients";
    ClientReassign, "client.reassign", true, "Reassign clients";
    DealCreate, "deal.create", false, "Create deals";
    DealRead, "deal.read", true, "View deals";
    DealUpdate, "deal.update", true, "Change and move deals";
    DealClose, "deal.close", true, "Win, lose and reopen deals";
    DealDelete, "deal.delete", true, "Delete deals";
    DealReassign, "deal.reassign", true, "Reassign deals";
    DealVerify, "deal.verify", false, "Verify and reject deals";
    PaymentRead, "payment.read", true, "View payments of visible deals";
    PaymentCreate, "payment.create", true, "Record payments";
    PaymentVerify, "payment.verify", false, "Verify and reject payments";
    PaymentReverse, "payment.reverse", false, "Reverse and refund payments";
    PipelineManage, "pipeline.manage", false, "Create, change and delete pipelines and stages";
    TrashRestore, "trash.restore", false, "View the trash, and restore from it";
    TrashPurge, "trash.purge", false, "Purge the trash";
    AuditRead, "audit.read", false, "View the audit log";
    ReportRead, "report.read", true, "View reports on visible deals";
    ImportRun, "import.run", false, "Import clients and deals, and revert imports";
    ExportRun, "export.run", false, "Export visible clients and deals";
    CommissionRead, "commission.read", true, "View commissions";
    CommissionManage, "commission.manage", false, "Set commission rates";
    TaskRead, "task.read", true, "View tasks";
    ViewShare, "view.share", false, "Share saved views";
    CustomFieldManage, "customfield.manage", false, "Create, change and delete custom fields";
    WebhookManage, "webhook.manage", false, "Manage webhooks";
    TaskUpdate, "task.update", true, "Change, complete and delete tasks";
}

impl Permission {
    /// The name in the API, without a scope.
    pub(crate) fn name(self) -> &'static str {
        self.definition().0
    }
}

/// A permission in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogueEntry {
    /// The name, as roles list it.
    #[schema(example = "deal.read:team")]
    pub permission: String,
    /// The kind of object.
    #[schema(example = "deal")]
    pub entity: &'static str,
    /// The action on the object.
    #[schema(example = "read")]
    pub action: &'static str,
    /// The scope: `own`, `team` or `all`; `null` for a permission without scopes.
    pub scope: Option<&'static str>,
    /// A description for people.
    pub description: &'static str,
}

/// All permissions, with each of their scopes.
pub fn catalogue() -> Vec<CatalogueEntry> {
    let mut entries = Vec::new();
    for permission in Permission::ALL {
        let (name, scoped, description) = permission.definition();
        let (entity, action) = name.split_once('.').unwrap_or((name, ""));
        let scopes: &[Option<Scope>] =
            if scoped { &[Some(Scope::Own), Some(Scope::Team), Some(Scope::All)] } else { &[None] };
        entries.extend(scopes.iter().map(|scope| CatalogueEntry {
            permission: scope.map_or_else(|| name.to_owned(), |scope| format!("{name}:{}", scope.name())),
            entity,
            action,
            scope: scope.map(Scope::name),
            description,
        }));
    }
    entries
}

/// Parses a permission with an optional scope; without one it covers all objects.
fn parse(text: &str) -> Option<(Permission, Scope)> {
    static NAMES: LazyLock<HashMap<&str, Permission>> =
        LazyLock::new(|| Permission::ALL.iter().map(|permission| (permission.name(), *permission)).collect());
    let (name, scope) = text.split_once(':').map_or((text, None), |(name, scope)| (name, Some(scope)));
    let permission = *NAMES.get(name)?;
    let scope = match scope {
        None => Scope::All,
        Some(_) if !permission.definition().1 => return None,
        Some(scope) => Scope::ALL.iter().find(|(_, name)| *name == scope)?.0,
    };
    Some((permission, scope))
}

/// The permissions that a role grants, each with its scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants(BTreeMap<Permission, Scope>);

impl Grants {
    /// All permissions for all objects.
    pub(crate) fn everything() -> Self {
        Self(Permission::ALL.iter().map(|permission| (*permission, Scope::All)).collect())
    }

    /// Parses the permissions of a role.
    ///
    /// # Errors
    /// The first unknown permission.
    pub(crate) fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self, String> {
        let mut grants = Self::default();
        for name in names.iter().map(AsRef::as_ref) {
            grants.add(parse(name).ok_or_else(|| name.to_owned())?);
        }
        Ok(grants)
    }

    /// Parses the permissions of a stored role. Those that this version does not know are ignored.
    pub(crate) fn stored(names: &[&str]) -> Self {
        let mut grants = Self::default();
        names.iter().filter_map(|name| parse(name)).for_each(|grant| grants.add(grant));
        grants
    }

    fn add(&mut self, (permission, scope): (Permission, Scope)) {
        let granted = self.0.entry(permission).or_insert(scope);
        *granted = scope.max(*granted);
    }

    /// The names of the permissions, as in the catalogue.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |(permission, scope): (&Permission, &Scope)| match permission.definition() {
            (name, true, _) => format!("{name}:{}", scope.name()),
            (name, false, _) => name.to_owned(),
        };
        self.0.iter().map(name).collect()
    }

    /// The scope of a permission, if it is granted.
    pub(crate) fn scope(&self, permission: Permission) -> Option<Scope> {
        self.0.get(&permission).copied()
    }

    /// Whether this grants at least everything that `other` grants.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        other.0.iter().all(|(permission, scope)| self.scope(*permission).is_some_and(|own| own >= *scope))
    }

    /// Whether a permission has the scope `team`.
    pub(crate) fn has_team_scope(&self) -> bool {
        self.0.values().any(|scope| *scope == Scope::Team)
    }
}

/// A role that a new organization gets.
pub(crate) struct Preset {
    /// The identifier in the API.
    pub(crate) key: &'static str,
    /// The display name.
    pub(crate) name: &'static str,
    /// The permissions; empty for the owner, who has all.
    pub(crate) permissions: &'static [&'static str],
}

/// The key of the owner's role.
pub(crate) const OWNER: &str = "owner";

/// The roles that a new organization gets, the owner's first.
pub(crate) const PRESETS: &[Preset] = &[
    Preset { key: OWNER, name: "Owner", permissions: &[] },
    Preset {
        key: "admin",
        name: "Admin",
        permissions: &[
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
        permissions: &[
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
        permissions: &[
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
        permissions: &[
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
    Preset { key: "viewer", name: "Viewer", permissions: &["member.read", "client.read", "deal.read"] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_have_the_names_of_the_catalogue() {
        let names: Vec<String> = catalogue().into_iter().map(|entry| entry.permission).collect();
        for preset in PRESETS {
            let grants = Grants::parse(preset.permissions).unwrap();
            assert!(grants.names().iter().all(|name| names.contains(name)), "{}", preset.key);
            assert_eq!(Grants::parse(&grants.names()).unwrap(), grants);
            assert!(Grants::everything().includes(&grants));
        }
        assert_eq!(Grants::parse(&names).unwrap(), Grants::everything());
    }

    #[test]
    fn an_unknown_permission_is_refused() {
        for name in ["deal", "deal.fly", "deal.read:mine", "pipeline.manage:all", "", "deal.read:"] {
            assert_eq!(Grants::parse(&[name]).unwrap_err(), name);
        }
    }

    #[test]
    fn a_wider_scope_includes_a_narrower_one_but_not_vice_versa() {
        let parse = |names: &[&str]| Grants::parse(names).unwrap();
        assert!(parse(&["deal.read"]).includes(&parse(&["deal.read:team"])));
        assert!(parse(&["deal.read:team"]).includes(&parse(&["deal.read:own"])));
        assert!(!parse(&["deal.read:own"]).includes(&parse(&["deal.read:team"])));
        assert!(!parse(&["deal.read"]).includes(&parse(&["client.read:own"])));
        assert!(parse(&[]).includes(&parse(&[])));
        assert_eq!(parse(&["deal.read:own", "deal.read:team"]).names(), ["deal.read:team"]);
    }
}
