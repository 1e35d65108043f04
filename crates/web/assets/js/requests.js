// Requests of the pages' scripts: with the token that protects them, and the reason why they were refused.

let csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** The token of the next request. */
export const token = () => csrf;

/** The headers of a request for the part of a page with this id. */
export function part(target) {
  return { "HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": target, Accept: "text/html" };
}

/** Why a request was refused: its code, and a sentence to show. Both are empty if the server has not said so. */
export async function refusal(answer) {
  const body = await answer?.clone().json().catch(() => null);
  return { code: body?.code ?? "", reason: body?.reason ?? body?.detail ?? "" };
}

/** Gets the present token, after signing in again in another tab; `false` if that was somebody else. */
export async function renewToken() {
  const answer = await fetch("/menu/", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return false;
  const page = new DOMParser().parseFromString(await answer.text().catch(() => ""), "text/html");
  const fresh = page.querySelector('meta[name="csrf"]')?.content;
  if (!fresh || page.body.dataset.user !== document.body.dataset.user) return false;
  csrf = fresh;
  return true;
}

/** Sends a body like `fetch`, and calls back with the share that was sent, which `fetch` does not report. */
function upload(url, { method, body, headers }, onprogress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onprogress(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      const lines = request.getAllResponseHeaders().trim().split("\r\n").map((line) => line.split(": "));
      const answer = { status: request.status, headers: lines.map(([name, ...value]) => [name, value.join(": ")]) };
      resolve(new Response(request.status === 204 ? null : request.response, answer));
    });
    for (const name of ["error", "abort", "timeout"]) request.addEventListener(name, reject);
    request.send(body);
  });
}

/** Sends a form; once more if its token was out of date. `onprogress` gets the share that was sent. */
export async function post(url, fields, headers = {}, onprogress = null) {
  const body = fields instanceof FormData ? fields : new URLSearchParams(fields);
  const accept = "text/html, application/json";
  const send = () => {
    const request = { method: "POST", body, headers: { Accept: accept, ...headers, "X-CSRF-Token": csrf } };
    return onprogress ? upload(url, request, onprogress) : fetch(url, request);
  };
  const answer = await send();
  if (answer.status !== 403 || (await refusal(answer)).code !== "csrf_failed") return answer;
  return (await renewToken()) ? send() : answer;
}

/** Says for some seconds that something did not work, and why. */
export function toast(text) {
  const template = document.getElementById("failed-toast");
  const toasts = document.getElementById("toasts");
  if (!template || !toasts) return;
  const shown = template.content.firstElementChild.cloneNode(true);
  if (text) shown.querySelector("span").textContent = text;
  toasts.append(shown);
  setTimeout(() => shown.remove(), 6000);
}
