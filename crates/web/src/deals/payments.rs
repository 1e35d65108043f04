//! Recording payments, and the page of a payment with its receipts, reversal and refunds.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{
    Amount, Day, Deal, DealFile, DealId, NewPayment, NewRefund, NewReversal, OrganizationId, Payment, PaymentId,
    PaymentKind, PaymentMethod, Verification,
};
use guildhall_kernel::{Error, Path, Result};

use super::{
    entered::{Entered, retyped},
    form_key::{self, FORM_KEY},
    frame::OrgFrame,
};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::Reader,
    web::App,
};

/// The payment methods, as forms name them.
const METHODS: [(PaymentMethod, &str); 6] = [
    (PaymentMethod::Bank, "bank"),
    (PaymentMethod::Card, "card"),
    (PaymentMethod::Cash, "cash"),
    (PaymentMethod::Cheque, "cheque"),
    (PaymentMethod::Wallet, "wallet"),
    (PaymentMethod::Other, "other"),
];
/// The fields of the form.
const FIELDS: [&str; 6] = ["amount", "method", "received_on", "reference", "cheque_number", FORM_KEY];

/// The key of the name of a payment method.
pub(super) fn method_name(method: PaymentMethod) -> &'static str {
    match method {
        PaymentMethod::Bank => "deals-method-bank",
        PaymentMethod::Cash => "deals-method-cash",
        PaymentMethod::Cheque => "deals-method-cheque",
        PaymentMethod::Wallet => "deals-method-wallet",
        PaymentMethod::Card => "deals-method-card",
        PaymentMethod::Other => "deals-method-other",
    }
}

/// What a ledger entry is: the method of a payment, or what a refund or reversal refers to.
pub(super) fn entry_name(f: &OrgFrame, payment: &Payment, all: &[Payment]) -> String {
    let of = || {
        let of = all.iter().find(|other| Some(other.id) == payment.of_payment_id);
        of.map(|other| other.transaction_id.clone()).unwrap_or_default()
    };
    match payment.kind {
        PaymentKind::Payment => f.t(method_name(payment.method)),
        PaymentKind::Refund => f.t1("deals-refund-of", "number", of()),
        PaymentKind::Reversal => f.t1("deals-reversal-of", "number", of()),
    }
}

#[derive(Template)]
#[template(path = "deals/new_payment.html")]
struct NewPaymentPage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    deal: Deal,
    /// The methods with their names.
    methods: Vec<(&'static str, String)>,
}

async fn new_payment_page(
    app: &App,
    reader: &Reader,
    (org, id): (OrganizationId, DealId),
    refused: Option<(FormErrors, Entered)>,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "list").await?;
    let deal = app.deals.deals.deal(&reader.caller, org, id.into(), None).await?;
    let methods = METHODS.into_iter().map(|(method, name)| (name, f.t(method_name(method)))).collect();
    let (status, e, v) = if let Some((e, v)) = refused {
        (StatusCode::UNPROCESSABLE_ENTITY, e, v)
    } else {
        let key = form_key::new()?;
        let balance = if deal.balance.starts_with('-') { "" } else { deal.balance.as_str() };
        let fields = [("amount", balance), ("received_on", f.today.as_str()), (FORM_KEY, &key)];
        (StatusCode::OK, FormErrors::default(), Entered::of(fields))
    };
    Ok(show(status, &NewPaymentPage { f, e, v, deal, methods }))
}

pub(crate) async fn new_payment(
    State(app): State<App>,
    Path(path): Path<(OrganizationId, DealId)>,
    reader: Reader,
) -> Result<Response> {
    new_payment_page(&app, &reader, path, None).await
}

/// Records a payment, once even if the form is sent twice.
pub(crate) async fn record_payment(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let recorded = async {
        let required = |name| Error::field(name, "This field is required.");
        let no_day = || Error::field("received_on", reader.view.t("deals-no-such-day"));
        let new = NewPayment {
            amount: Amount::new(form.filled("amount").ok_or_else(|| required("amount"))?),
            currency: None,
            method: form.choice("method")?.ok_or_else(|| required("method"))?,
            received_on: form.filled("received_on").map(|day| Day::parse(day).ok_or_else(no_day)).transpose()?,
            reference: form.text("reference").trim().to_owned(),
            cheque_number: form.filled("cheque_number").map(str::to_owned),
        };
        let key = form_key::sent(&form, &format!("pages {org}/{id}"), &FIELDS)?;
        Ok::<_, Error>(app.deals.payments.record_payment(&reader.caller, org, id.into(), new, key).await?)
    };
    match recorded.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/deals/{org}/deals/{id}/"), "flash-payment-recorded")),
        Err(error) => {
            let typed = retyped(&error, Entered::typed(&form, &FIELDS))?;
            let e = form_errors(&reader.view, error)?;
            new_payment_page(&app, &reader, (org, id), Some((e, typed))).await
        }
    }
}

#[derive(Template)]
#[template(path = "deals/payment.html")]
struct PaymentPage {
    f: OrgFrame,
    e: FormErrors,
    deal: Deal,
    payment: Payment,
    name: String,
    receipts: Vec<DealFile>,
    /// What was typed into a form of the page that was refused, and the key of the form for a refund.
    v: Entered,
}

impl PaymentPage {
    fn is_pending(&self) -> bool {
        self.payment.state == Verification::Pending
    }

    fn is_verified(&self) -> bool {
        self.payment.state == Verification::Verified
    }

    /// Whether it is money received that can still be reversed.
    fn can_be_reversed(&self) -> bool {
        self.payment.kind == PaymentKind::Payment
            && !self.payment.is_reversed
            && self.payment.state != Verification::Rejected
    }
}

pub(super) type PaymentPath = (OrganizationId, DealId, PaymentId);

async fn payment_page(
    app: &App,
    reader: &Reader,
    (org, id, payment): PaymentPath,
    (e, v): (FormErrors, Entered),
) -> Result<Response> {
    let (caller, services) = (&reader.caller, &app.deals);
    let f = OrgFrame::open(app, reader, org, "list").await?;
    let deal = services.deals.deal(caller, org, id.into(), None).await?;
    let payment = services.payments.payment(caller, org, id.into(), payment).await?;
    let of = match payment.of_payment_id {
        Some(of) => vec![services.payments.payment(caller, org, id.into(), of).await?],
        None => Vec::new(),
    };
    let receipts = services.deal_files.receipts(caller, org, id.into(), payment.id).await?;
    let name = entry_name(&f, &payment, &of);
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let v = if v.get(FORM_KEY).is_empty() { v.with(FORM_KEY, &form_key::new()?) } else { v };
    Ok(show(status, &PaymentPage { f, e, deal, payment, name, receipts, v }))
}

pub(crate) async fn payment(State(app): State<App>, Path(path): Path<PaymentPath>, reader: Reader) -> Result<Response> {
    payment_page(&app, &reader, path, Default::default()).await
}

/// Adds a receipt to a payment.
pub(crate) async fn add_receipt(
    State(app): State<App>,
    Path((org, id, payment)): Path<PaymentPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let added = async {
        let upload = form.into_upload("file")?;
        Ok::<_, Error>(app.deals.deal_files.add_receipt(&reader.caller, org, id.into(), payment, upload).await?)
    };
    match added.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/deals/{org}/deals/{id}/payments/{payment}/"), "flash-attached")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            payment_page(&app, &reader, (org, id, payment), (e, Entered::default())).await
        }
    }
}

/// What was typed into a form on the page of a payment. `reason` is the field for the reason: each form has its own.
pub(super) fn typed(form: &Submission, reason: &'static str) -> Entered {
    Entered::typed(form, &["amount", FORM_KEY]).with(reason, form.text("reason"))
}

/// The response to a form on the page of a payment: that of its deal, or the page again, with what was wrong and what
/// was typed.
pub(super) async fn answer<T>(
    app: &App,
    reader: &Reader,
    path: PaymentPath,
    outcome: Result<T>,
    typed: Entered,
) -> Result<Response> {
    match outcome {
        Ok(_) => Ok(redirect_with(app, &format!("/deals/{}/deals/{}/", path.0, path.1), "flash-saved")),
        Err(error) => {
            let typed = retyped(&error, typed)?;
            payment_page(app, reader, path, (form_errors(&reader.view, error)?, typed)).await
        }
    }
}

pub(crate) async fn reverse_payment(
    State(app): State<App>,
    Path(path): Path<PaymentPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (org, deal, id) = path;
    let new = NewReversal { reason: form.text("reason").trim().to_owned() };
    let outcome = app.deals.payments.reverse_payment(&reader.caller, org, deal.into(), id, new, None).await;
    answer(&app, &reader, path, outcome.map_err(Error::from), typed(&form, "reverse-reason")).await
}

/// Refunds a part of a payment, once even if the form is sent twice.
pub(crate) async fn refund_payment(
    State(app): State<App>,
    Path(path): Path<PaymentPath>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (org, deal, id) = path;
    let new =
        NewRefund { amount: Amount::new(form.text("amount").trim()), reason: form.text("reason").trim().to_owned() };
    let key = form_key::sent(&form, &format!("pages {org}/{deal}/{id}"), &["amount", "reason", FORM_KEY])?;
    let outcome = app.deals.payments.refund_payment(&reader.caller, org, deal.into(), id, new, key).await;
    answer(&app, &reader, path, outcome.map_err(Error::from), typed(&form, "refund-reason")).await
}
