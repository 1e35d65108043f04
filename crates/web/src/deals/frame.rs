//! The frame of the pages of an organization: which one is open, which others there are, and what the reader may do.

use std::ops::Deref;

use chrono::DateTime;
use chrono_tz::Tz;
use guildhall_deals::{Day, Filter, Member, Organization, OrganizationId};
use guildhall_kernel::{Error, PageQuery, Result};

use crate::{
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many organizations the switch lists.
const ORGANIZATIONS: u64 = 20;

/// The frame of a page of an organization.
pub(super) struct OrgFrame {
    frame: Frame,
    pub(super) org: Organization,
    /// The organizations of the reader.
    pub(super) organizations: Vec<Organization>,
    /// The membership of the reader.
    pub(super) member: Member,
    /// The number of payments that wait for a decision of the reader.
    pub(super) waiting: u64,
    /// The chosen tab.
    pub(super) tab: &'static str,
    /// Today in the time zone of the organization.
    pub(super) today: Day,
    permissions: Vec<String>,
}

impl OrgFrame {
    /// The frame of a page under a tab, if the reader is a member. A part of a page shows neither the other
    /// organizations nor the tabs: then those are not loaded.
    pub(super) async fn open(app: &App, reader: &Reader, id: OrganizationId, tab: &'static str) -> Result<Self> {
        let caller = &reader.caller;
        let service = &app.deals.organizations;
        let org = async { service.organization(caller, id).await.map_err(Error::from) };
        let own = async { service.own_membership(caller, id).await.map_err(Error::from) };
        let is_part = reader.view.is_partial();
        let all = async {
            if is_part {
                return Ok(Vec::new());
            }
            let page = service.organizations(caller, PageQuery::new(1, ORGANIZATIONS)).await;
            Ok::<_, Error>(page.map_err(Error::from)?.results)
        };
        let (org, own, all) = tokio::try_join!(org, own, all)?;
        let frame = reader.frame(app, Place::Deals).await?;
        let mut opened = Self {
            today: today(app, &org),
            frame,
            org,
            organizations: all,
            member: own.member,
            waiting: 0,
            tab,
            permissions: own.permissions,
        };
        if !is_part && opened.may("payment.verify") {
            let waiting = Filter::default().and("waiting", "true");
            let page = app.deals.payments.payments(caller, id, None, waiting, PageQuery::new(1, 1)).await?;
            opened.waiting = page.count;
        }
        Ok(opened)
    }

    /// Whether the role of the reader grants a permission, at least for their own objects.
    pub(super) fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|granted| granted.split(':').next() == Some(permission))
    }

    /// The attribute that marks the chosen tab.
    pub(super) fn at_tab(&self, tab: &str) -> &'static str {
        if self.tab == tab { " aria-current=\"page\"" } else { "" }
    }

    /// The address of a page of the organization.
    pub(super) fn url(&self, path: &str) -> String {
        format!("/deals/{}/{path}", self.org.id)
    }

    /// The mark of an organization: its initials on a tint.
    pub(super) fn org_mark(&self, org: &Organization) -> crate::html::Html {
        self.frame.initials_mark(org.id.0, &org.name, "a-sm")
    }
}

fn today(app: &App, org: &Organization) -> Day {
    let now = app.clock.now();
    let zone: Tz = org.time_zone.parse().unwrap_or(Tz::UTC);
    let local = DateTime::from_timestamp_micros(now.unix_micros()).map(|time| time.with_timezone(&zone));
    local.and_then(|time| Day::parse(&time.date_naive().to_string())).unwrap_or_else(|| Day::of(now))
}

impl Deref for OrgFrame {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.frame
    }
}
