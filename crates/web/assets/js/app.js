// What scripts add to the pages. Everything works without them.
import { Socket } from "./socket.js";
import { followBoard } from "./board.js";
import { followConversation } from "./conversation.js";
import { attachFiles } from "./files.js";
import { followRoom, waitForRoom } from "./room.js";
import { listenToKeys } from "./keys.js";
import { offerPush } from "./push.js";
import { part, renewToken, toast, token } from "./requests.js";
import { keepTyped, signInAgain } from "./typed.js";

document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["X-CSRF-Token"] = token();
});

document.addEventListener("htmx:response:error", (event) => {
  const { text, response } = event.detail.ctx;
  const isRefusal = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  const { code, reason } = isRefusal ? JSON.parse(text) : {};
  if (code === "csrf_failed") renewToken();
  // A form that comes back says itself what is wrong.
  if (isRefusal || response.status >= 500) toast(reason);
});

// A choice that filters a list takes effect at once.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// The server shows times in the zone of the browser.
function sendZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || localStorage.getItem("zone") === zone) return;
  const sent = fetch("/appearance/", {
    method: "POST",
    body: new URLSearchParams({ zone }),
    headers: { "X-CSRF-Token": token() },
    redirect: "manual",
  });
  sent.then(() => localStorage.setItem("zone", zone)).catch(() => {});
}

// The chosen tab is in sight.
for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const counts = { messages: null, notifications: null };
const title = document.title;

function showCount(name, number) {
  counts[name] = number;
  for (const badge of document.querySelectorAll(`[data-count="${name}"]`)) {
    badge.hidden = number === 0;
    badge.querySelector(".n").textContent = number > 99 ? "99+" : String(number);
  }
  const waiting = (counts.messages ?? 0) + (counts.notifications ?? 0);
  document.title = waiting > 0 ? `(${waiting}) ${title}` : title;
}

/** Replaces the list of conversations by a fresh one, at most once a second. */
let inboxTimer = null;
function refreshInbox() {
  const inbox = document.getElementById("inbox");
  if (!inbox || inboxTimer) return;
  inboxTimer = setTimeout(async () => {
    inboxTimer = null;
    const answer = await fetch("/messaging/", { headers: part("nav#inbox") }).catch(() => null);
    if (!answer?.ok) return;
    const current = inbox.querySelector("[aria-current]")?.getAttribute("href");
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("inbox");
    if (!fresh) return;
    if (current) fresh.querySelector(`a[href="${CSS.escape(current)}"]`)?.setAttribute("aria-current", "page");
    inbox.replaceChildren(...fresh.childNodes);
  }, 1000);
}

const user = document.body.dataset.user;
if (!user) signInAgain();
if (user) {
  sendZone();
  const socket = new Socket();
  socket.follow(`user/${user}`, (frame) => {
    if (frame.type === "unread_count") {
      if ("messages" in frame) showCount("messages", frame.messages);
      if ("notifications" in frame) showCount("notifications", frame.notifications);
    }
    if (frame.type === "notification") document.dispatchEvent(new CustomEvent("notification", { detail: frame }));
    if (["direct_message", "message_request", "conversation"].includes(frame.type)) refreshInbox();
    if (frame.message) document.dispatchEvent(new CustomEvent("direct-message", { detail: frame.message }));
  });
  socket.onresume = async () => {
    const answer = await fetch("/notifications/counts/").catch(() => null);
    if (!answer?.ok) return;
    const fresh = await answer.json();
    showCount("messages", fresh.messages);
    showCount("notifications", fresh.notifications);
    refreshInbox();
  };
  for (const group of (document.body.dataset.groups ?? "").split(" ").filter(Boolean)) {
    socket.follow(`group/${group}`, (frame) => {
      const pill = document.getElementById("new-posts");
      if (frame.type === "feed_changed" && pill) pill.hidden = false;
    });
  }
  const { base, room, waiting } = document.body.dataset;
  if (room) followRoom(socket);
  else if (base) followConversation(socket);
  if (waiting) waitForRoom(waiting);
  if (document.body.dataset.board) followBoard(socket);
  const post = document.getElementById("post-form");
  if (post) attachFiles(post, post);
  const push = document.getElementById("push");
  if (push) offerPush(push);
  listenToKeys();
  socket.open();
  keepTyped(user);
}
