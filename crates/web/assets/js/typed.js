// Keeps what was entered into a form whose author has to sign in again, because the session has ended.

const KEY = "typed";
// With the version that the form was made of: a change by somebody else meanwhile is noticed when the form is sent.
const FIELDS =
  "textarea[name], select[name], input[type=hidden][name=version]," +
  " input[name]:not([type=hidden], [type=password], [type=file], [autocomplete=one-time-code])";

function take() {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  sessionStorage.removeItem(KEY);
  return kept;
}

const put = (kept) => sessionStorage.setItem(KEY, JSON.stringify(kept));
const address = () => location.pathname + location.search;

/** Keeps the fields of every form that is sent, until the next page is known. */
function keep(user) {
  const keepForm = (form) => {
    const fields = [...form.querySelectorAll(FIELDS)].map(({ name, value, checked }) => ({ name, value, checked }));
    put({ user, page: address(), action: form.getAttribute("action"), fields });
  };
  document.addEventListener("submit", (event) => keepForm(event.target));
  // A button that sends its form with a script.
  document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
    const form = ctx.request.method === "GET" ? null : ctx.sourceElement.closest("form");
    if (form) keepForm(form);
  });
}

const isChoice = (field) => field.type === "checkbox" || field.type === "radio";
// The boxes of one name differ in their values.
const isSame = (field, value) => !isChoice(field) || field.value === value;

/** Enters the fields again. */
function restore({ page, action, fields }) {
  const form = [...document.forms].find((form) => form.getAttribute("action") === action);
  // A form without an address belongs to its page.
  if (!form || (action === null && page !== address())) return;
  const found = [...form.querySelectorAll(FIELDS)];
  for (const { name, value, checked } of fields) {
    const index = found.findIndex((field) => field.name === name && isSame(field, value));
    if (index < 0) continue;
    const [field] = found.splice(index, 1);
    if (isChoice(field)) field.checked = checked;
    else field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/** On the page of a user: `user` is their id. Of this user only: another one may have signed in in the same tab. */
export function keepTyped(user) {
  const kept = take();
  if (kept?.isInterrupted && kept.user === user) restore(kept);
  keep(user);
}

/** On a page of nobody. The server says whether a form has led to the page for signing in. */
export function signInAgain() {
  const kept = take();
  // The pages of a second factor and of a refused password follow without that.
  const isInterrupted = kept?.isInterrupted || new URLSearchParams(location.search).has("typed");
  if (kept && isInterrupted) put({ ...kept, isInterrupted });
}
