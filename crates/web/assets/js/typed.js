// Keeps what was entered into a form whose author has to sign in again, because the session has ended.

const KEY = "typed";
const FIELDS = "textarea[name], select[name], input[name]:not([type=hidden], [type=password], [type=file])";

function take() {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  sessionStorage.removeItem(KEY);
  return kept;
}

const address = () => location.pathname + location.search;

/** Keeps the fields of every form that is submitted, until the next page is known. */
function keep(user) {
  document.addEventListener("submit", ({ target: form }) => {
    const fields = [...form.querySelectorAll(FIELDS)].map(({ name, value, checked }) => ({ name, value, checked }));
    const kept = { user, page: address(), action: form.getAttribute("action"), fields };
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  });
}

/** Enters the fields again. */
function restore({ action, fields }) {
  const form = [...document.forms].find((form) => form.getAttribute("action") === action);
  if (!form) return;
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

const isChoice = (field) => field.type === "checkbox" || field.type === "radio";
// The boxes of one name differ in their values.
const isSame = (field, value) => !isChoice(field) || field.value === value;

/** On the page of a user: `user` is their id. Of this user only: another one may have signed in in the same tab. */
export function keepTyped(user) {
  const kept = take();
  if (kept?.isInterrupted && kept.user === user && kept.page === address()) restore(kept);
  keep(user);
}

/** On a page of nobody. The server says whether a form has led to the page for signing in. */
export function signInAgain() {
  if (!new URLSearchParams(location.search).has("typed")) return;
  const kept = take();
  if (kept) sessionStorage.setItem(KEY, JSON.stringify({ ...kept, isInterrupted: true }));
}
