// The pages of a room: what happens in it beside messages, who is there, and waiting to be let in. The lists come from
// the server as they are shown without scripts.
import { followConversation } from "./conversation.js";
import { part, post, refusal, toast } from "./requests.js";

const LOOK_EVERY = 10000;
const REFRESH_AFTER = 1000;

/** Calls back when the user is notified of something about a room. */
function onNotification(room, callback) {
  document.addEventListener("notification", (event) => {
    const { target } = event.detail;
    if (target?.kind === "room" && target.id === Number(room)) callback();
  });
}

/** Leads to the room once the user takes part. */
export function waitForRoom(room) {
  const base = `/rooms/${room}/`;
  const look = async () => {
    const answer = await fetch(`${base}waiting/`, { redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect" || answer?.status === 404) location.replace(base);
  };
  onNotification(room, look);
  setInterval(look, LOOK_EVERY);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") look();
  });
}

export function followRoom(socket) {
  const { room } = document.body.dataset;
  const base = `/rooms/${room}/`;
  const isLive = Boolean(document.body.dataset.base);
  const aside = () => document.querySelector("aside#people");
  let isOver = false;

  // --- Who is there, who asks, what is pinned

  async function replaceAside() {
    const answer = await fetch(`${base}people/`, { headers: part("aside#people") }).catch(() => null);
    if (!answer?.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("people");
    if (!fresh) return;
    const hadFocus = aside().contains(document.activeElement);
    aside().replaceWith(fresh);
    if (hadFocus) fresh.querySelector(".asks button, .people button, a")?.focus();
    for (const badge of document.querySelectorAll("[data-room-count]")) {
      const number = fresh.dataset[badge.dataset.roomCount];
      badge.textContent = number;
      if (badge.parentElement.matches(".count")) badge.parentElement.hidden = number === "0";
    }
  }

  let timer = null;
  /** Shows soon who is there now, but takes no menu away that somebody has opened. */
  function refreshAside() {
    if (!aside()) return;
    timer ??= setTimeout(() => {
      timer = null;
      if (aside().querySelector(":popover-open")) refreshAside();
      else replaceAside();
    }, REFRESH_AFTER * (1 + Math.random()));
  }
  onNotification(room, refreshAside);

  function showPresence(frame) {
    const dot = aside()?.querySelector(`[data-person="${frame.user.id}"] .presence`);
    if (dot) dot.hidden = !frame.online;
    else refreshAside();
  }

  // --- Forms that change something in place

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("aside [data-quiet]") || !isLive) return;
    event.preventDefault();
    const fields = [...new FormData(form, event.submitter), ["script", "1"]];
    const answer = await post(form.getAttribute("action"), fields).catch(() => null);
    form.closest("[popover]")?.hidePopover();
    if (!answer?.ok) toast((await refusal(answer)).reason);
    if (form.closest("aside")) refreshAside();
  });

  // --- The state of the room

  const conn = document.getElementById("conn");
  const clock = (time) => new Date(time).toLocaleTimeString(document.documentElement.lang);
  function showState(text) {
    conn.hidden = text === "";
    conn.classList.remove("conn-back");
    conn.querySelector(".grow").textContent = text;
    document.getElementById("conn-now").hidden = true;
  }

  /** Nothing can be written any more; what was written stays. */
  function close() {
    isOver = true;
    showState(conn.dataset.closed);
    conn.classList.add("conn-closed");
    document.getElementById("foot")?.remove();
  }

  function handle(frame, log) {
    switch (frame.type) {
      case "message_pinned":
        log.refreshRow(frame.message_id);
        refreshAside();
        break;
      case "role_changed":
      case "member_muted":
        refreshAside();
        break;
      case "presence":
        showPresence(frame);
        break;
      case "room_changed":
        document.getElementById("room-name").textContent = frame.name;
        document.getElementById("room-description").textContent = frame.description;
        refreshAside();
        break;
      case "host_away":
        showState(`${conn.dataset.away} ${clock(frame.closes_at)}`);
        break;
      case "host_back":
        showState("");
        break;
      case "room_closed":
        close();
        break;
      case "unsubscribed":
        if (!isOver) location.replace(`${base}?out=1`);
        break;
    }
    if (frame.type === "subscribed" || frame.message_type === "system") refreshAside();
  }

  if (!isLive) {
    // A host who reads another page of the room is not away.
    socket.follow(`chat/${room}`, () => {});
    return;
  }
  followConversation(socket, { handle, isOver: () => isOver });
}
