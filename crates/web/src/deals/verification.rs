//! The payments that wait for a decision, and decisions on payments and deals.

use std::collections::HashMap;

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_deals::{Deal, DealId, Filter, OrganizationId, Payment, Verdict, Verification};
use guildhall_kernel::{Error, PageQuery, Path, Query, Result};

use super::{
    deal::{self, known_version},
    entered::Entered,
    frame::OrgFrame,
    payments::{self, PaymentPath, method_name},
};
use crate::{
    form::Submission,
    page::{ok, redirect_with},
    paging::{PAGE_SIZE, PageNumber, Pager},
    reader::Reader,
    web::App,
};

#[derive(Template)]
#[template(path = "deals/verification.html")]
struct VerificationPage {
    f: OrgFrame,
    /// The payments, each with its deal.
    payments: Vec<(Payment, Option<Deal>)>,
    pager: Pager,
}

impl VerificationPage {
    fn method(&self, payment: &Payment) -> String {
        self.f.t(method_name(payment.method))
    }
}

pub(crate) async fn verification(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "verification").await?;
    let (caller, services) = (&reader.caller, &app.deals);
    let query = PageQuery::new(number.number(), PAGE_SIZE).ordered("id");
    let waiting = Filter::default().and("waiting", "true");
    let page = services.payments.payments(caller, org, None, waiting, query).await?;
    let pager = Pager::new(&page, number, &f.url("verification/"), &[]);
    let mut ids: Vec<i64> = page.results.iter().map(|payment| payment.deal_id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut deals: HashMap<DealId, Deal> = HashMap::new();
    if !ids.is_empty() {
        let ids = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let filter = Filter::default().and("id__in", &ids).and("archived", "all");
        let found = services.deals.deals(caller, org, None, filter, PageQuery::new(1, PAGE_SIZE)).await?;
        deals = found.results.into_iter().map(|deal| (deal.id, deal)).collect();
    }
    let with_deal = |payment: Payment| {
        let deal = deals.get(&payment.deal_id).cloned();
        (payment, deal)
    };
    let payments = page.results.into_iter().map(with_deal).collect();
    Ok(ok(&VerificationPage { f, payments, pager }))
}

/// The decision of a form: the value of the button, and the reason.
fn decision(form: &Submission) -> Result<(Verification, Verdict)> {
    let verification = form.choice("verdict")?.ok_or_else(|| Error::field("verdict", "This field is required."))?;
    Ok((verification, Verdict { reason: form.text("reason").trim().to_owned() }))
}

/// Verifies or rejects a payment.
pub(crate) async fn decide_payment(
    State(app): State<App>,
    Path(path): Path<PaymentPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (org, deal, id) = path;
    let decided = async {
        let (verification, verdict) = decision(&form)?;
        let service = &app.deals.payments;
        Ok::<_, Error>(service.decide_payment(&reader.caller, org, deal.into(), id, verification, verdict).await?)
    };
    match (decided.await, form.next()) {
        (Ok(_), Some(next)) => Ok(redirect_with(&app, next.as_str(), "flash-decided")),
        (outcome, _) => payments::answer(&app, &reader, path, outcome, payments::typed(&form, "decide-reason")).await,
    }
}

/// Verifies or rejects a deal.
pub(crate) async fn verify_deal(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let verified = async {
        let ((verification, verdict), known) = (decision(&form)?, known_version(&form)?);
        let service = &app.deals.deals;
        Ok::<_, Error>(service.verify_deal(&reader.caller, org, id.into(), verification, verdict, known).await?)
    };
    deal::answer(&app, &reader, (org, id), verified.await, Entered::typed(&form, &["reason"])).await
}
