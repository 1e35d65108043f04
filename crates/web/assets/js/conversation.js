// An open conversation or room: new messages, sending, typing, reading. The rows come from the server as they are shown without
// scripts; only what is being sent is drawn here, as text.
import { attachFiles } from "./files.js";
import { part, post, refusal, toast } from "./requests.js";

const KEPT = "unsent";
const TYPING_EVERY = 3000;
const TYPING_ENDS = 6000;
const SEND_TIMEOUT = 10000;

/** Follows the conversation of the page. `room` handles what only happens in rooms. */
export function followConversation(socket, room) {
  const { base } = document.body.dataset;
  const me = Number(document.body.dataset.user);
  let { stream } = document.body.dataset;
  const place = () => document.body.dataset.place ?? `/messaging/${stream.split("/")[1]}/`;
  const log = document.getElementById("log");
  const box = log.parentElement;
  const form = document.getElementById("composer");
  const text = form?.elements.content;
  const jump = document.getElementById("jump");
  const conn = document.getElementById("conn");
  let lastId = Number(document.body.dataset.last) || 0;

  // --- New messages

  const isAtEnd = () => Math.abs(box.scrollTop) < 60;

  async function fetchRows(query) {
    const answer = await fetch(`${base}rows/?${query}`, { headers: part("ol#log") }).catch(() => null);
    if (!answer?.ok) return [];
    const rows = await answer.text().catch(() => "");
    const parsed = new DOMParser().parseFromString(`<ol>${rows}</ol>`, "text/html");
    return [...parsed.querySelector("ol").children];
  }

  let fetching = null;
  let again = false;
  /** Adds what is newer than the last message; calls meanwhile are one more. */
  function fetchNewer() {
    if (fetching) {
      again = true;
      return fetching;
    }
    fetching = (async () => {
      try {
        do {
          again = false;
          const atEnd = isAtEnd();
          const rows = await fetchRows(lastId ? `after=${lastId}` : "limit=50");
          for (const row of rows) addRow(row, atEnd);
          if (rows.length > 0 && atEnd) box.scrollTop = 0;
        } while (again);
      } finally {
        fetching = null;
      }
    })();
    return fetching;
  }

  function addRow(row, atEnd) {
    const id = Number(row.dataset.id);
    if (row.classList.contains("day")) {
      const days = log.querySelectorAll(".day");
      if (days.length > 0 && days[days.length - 1].textContent === row.textContent) return;
    }
    if (id) {
      if (document.getElementById(row.id)) return;
      lastId = Math.max(lastId, id);
      const client = row.dataset.client;
      if (client) settle(client);
    }
    const pending = log.querySelector(".bubble-pending, .bubble-failed");
    log.insertBefore(row, pending);
    linkQuote(row);
    window.htmx?.process?.(row);
    if (id && !atEnd && !row.classList.contains("mine")) jump.hidden = false;
  }

  async function refreshRow(id) {
    const row = document.getElementById(`msg-${id}`);
    if (!row || !stream) return;
    const answer = await fetch(`${place()}messages/${id}/`, { headers: part(`li#msg-${id}`) }).catch(() => null);
    if (!answer?.ok) return;
    const parsed = new DOMParser().parseFromString(`<ol>${await answer.text()}</ol>`, "text/html");
    const fresh = parsed.getElementById(`msg-${id}`);
    if (!fresh) return;
    // Where it stands in its group of messages is not known there.
    for (const name of ["first", "last"]) fresh.classList.toggle(name, row.classList.contains(name));
    if (!row.querySelector(".avatar")) fresh.querySelector(":scope > .avatar")?.remove();
    row.replaceWith(fresh);
    linkQuote(fresh);
  }

  /** Leads from a quote to the message itself, if the page shows it. */
  function linkQuote(row) {
    const quote = row.querySelector("[data-quote]");
    if (quote && document.getElementById(`msg-${quote.dataset.quote}`)) quote.href = `#msg-${quote.dataset.quote}`;
  }

  function showRead(upTo) {
    for (const mark of log.querySelectorAll('.mine [data-read="0"]')) {
      const row = mark.closest("li");
      if (Number(row.dataset.no) <= upTo) refreshRow(row.dataset.id);
    }
  }

  jump.addEventListener("click", () => {
    box.scrollTop = 0;
    jump.hidden = true;
  });
  box.addEventListener("scroll", () => {
    if (isAtEnd()) jump.hidden = true;
  });

  // --- Typing

  const typing = document.getElementById("typing");
  const writers = new Map();
  function showTyping() {
    typing.textContent = writers.size > 0 ? `${[...writers.keys()].join(", ")} ${typing.dataset.text}` : "";
  }
  function isTyping(frame) {
    const name = frame.user.display_name;
    clearTimeout(writers.get(name));
    writers.delete(name);
    if (frame.on) {
      writers.set(name, setTimeout(() => {
        writers.delete(name);
        showTyping();
      }, TYPING_ENDS));
    }
    showTyping();
  }
  let typingSentAt = 0;
  text?.addEventListener("input", () => {
    if (!stream || Date.now() - typingSentAt < TYPING_EVERY) return;
    typingSentAt = Date.now();
    socket.send({ type: "typing", stream, on: true });
  });

  // --- Reading

  let readTimer = null;
  let reported = lastId;
  function readSoon() {
    clearTimeout(readTimer);
    readTimer = setTimeout(() => {
      if (!document.hasFocus() || document.visibilityState !== "visible" || !isAtEnd()) return;
      if (!stream || lastId <= reported) return;
      reported = lastId;
      post(`${place()}read/`, { up_to: lastId }).catch(() => {});
    }, 1000);
  }
  addEventListener("focus", readSoon);
  box.addEventListener("scroll", readSoon);

  // Older messages are loaded before their reader reaches the start of what is shown.
  box.addEventListener("scroll", () => {
    const above = box.scrollHeight - box.clientHeight - Math.abs(box.scrollTop);
    const link = above < 300 ? box.querySelector("#older a:not([data-asked])") : null;
    if (!link) return;
    link.dataset.asked = "";
    link.click();
  });

  // --- Answering and reacting

  const react = document.getElementById("react");
  log.addEventListener("click", (event) => {
    const link = event.target.closest("[data-reply], [data-react]");
    if (!link || !form || room?.isOver() || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if ("react" in link.dataset) {
      react.querySelector("form").setAttribute("action", `${link.getAttribute("href")}react/`);
      react.showPopover({ source: link });
      return;
    }
    const row = link.closest("li");
    const words = row.querySelector(".bubble, .msg-words, .file .cut")?.textContent ?? "";
    form.elements.reply_to.value = link.dataset.reply;
    document.getElementById("reply-text").textContent = words;
    document.getElementById("reply-strip").hidden = false;
    text.focus();
  });
  document.addEventListener("submit", async (event) => {
    const sent = event.target;
    if (!sent.matches("#log [data-quiet], #react [data-quiet]")) return;
    event.preventDefault();
    const fields = [...new FormData(sent, event.submitter), ["script", "1"]];
    const answer = await post(sent.getAttribute("action"), fields).catch(() => null);
    react.hidePopover();
    if (!answer?.ok) toast((await refusal(answer)).reason);
  });

  // --- Events

  function handle(frame) {
    switch (frame.type) {
      case "subscribed":
      case "message":
      case "gap":
      case "hidden":
        fetchNewer().then(readSoon);
        break;
      case "message_edited":
      case "message_deleted":
      case "message_preview":
      case "reaction":
        refreshRow(frame.message_id);
        break;
      case "read":
        if (frame.user_id !== me) showRead(frame.up_to);
        break;
      case "typing":
        if (frame.user.id !== me) isTyping(frame);
        break;
    }
    room?.handle(frame, { refreshRow });
  }
  if (stream) socket.follow(stream, handle);
  // A conversation begins with its first message, by whomever.
  document.addEventListener("direct-message", ({ detail: message }) => {
    const people = [message.sender_id, message.receiver_id];
    if (stream || !people.some((person) => base === `/messaging/conversation/${person}/`)) return;
    stream = `conversation/${message.conversation_id}`;
    socket.follow(stream, handle);
    fetchNewer();
  });

  socket.onstate = (state) => {
    if (room?.isOver()) return;
    const words = conn.querySelector(".grow");
    conn.hidden = false;
    conn.classList.toggle("conn-back", state === "back");
    document.getElementById("conn-now").hidden = state !== "lost";
    const texts = { lost: conn.dataset.lost, back: conn.dataset.back, "signed-out": conn.dataset.signedOut };
    words.textContent = texts[state];
    if (state === "back") {
      setTimeout(() => (conn.hidden = true), 3000);
      for (const message of unsent()) if (!message.refused) transmit(message);
    }
  };
  document.getElementById("conn-now").addEventListener("click", () => socket.retry());

  // --- Sending

  // Of this user only: another one may have signed in in the same tab.
  const key = `${KEPT} ${me} ${base}`;
  const unsent = () => JSON.parse(sessionStorage.getItem(key) ?? "[]");
  const keep = (messages) => sessionStorage.setItem(key, JSON.stringify(messages));
  const bubble = (client) => log.querySelector(`[data-pending="${CSS.escape(client)}"]`);

  /** Takes a message that has arrived out of the queue. */
  function settle(client) {
    keep(unsent().filter((message) => message.client !== client));
    bubble(client)?.remove();
  }

  function draw(message) {
    bubble(message.client)?.remove();
    const row = document.getElementById("pending").content.firstElementChild.cloneNode(true);
    row.dataset.pending = message.client;
    const names = (message.files ?? []).map((file) => file.name).join(", ");
    row.querySelector(".bubble, .msg-words").textContent = message.content || names;
    log.append(row);
    box.scrollTop = 0;
    return row;
  }

  /** Whether sending the same again would be refused again. With a new session or token it would not. */
  const isFinal = (status, code) =>
    status >= 400 && status < 500 && ![401, 408, 429].includes(status) && code !== "csrf_failed";

  /** Shows that a message was not sent, and why if the server has said so. */
  async function refuse(message, answer) {
    const { code, reason } = await refusal(answer);
    if (answer && isFinal(answer.status, code)) {
      const marked = (kept) => (kept.client === message.client ? { ...kept, refused: reason || true } : kept);
      keep(unsent().map(marked));
    }
    fail(message, reason);
  }

  function fail(message, reason) {
    const row = bubble(message.client);
    if (!row) return;
    row.classList.replace("bubble-pending", "bubble-failed");
    const meta = row.querySelector(".bubble-meta");
    meta.replaceChildren(document.getElementById("failed").content.cloneNode(true));
    if (reason) meta.querySelector(".why").textContent = reason;
    meta.querySelector(".retry").addEventListener("click", () => {
      draw(message);
      transmit(message);
    });
    meta.querySelector(".drop").addEventListener("click", () => settle(message.client));
  }

  const attached = form ? attachFiles(form, box.closest("section") ?? form) : null;

  const sending = new Set();
  async function transmit(message) {
    if (sending.has(message.client)) return;
    sending.add(message.client);
    try {
      await sendOnce(message);
    } finally {
      sending.delete(message.client);
    }
  }

  async function sendOnce(message) {
    const fields = new FormData();
    for (const [name, value] of Object.entries({ content: message.content, client_id: message.client, script: "1",
      message_type: message.type ?? "", reply_to: message.reply ?? "" })) fields.append(name, value);
    for (const file of message.files ?? []) fields.append("files", file);
    const timeout = new Promise((_, reject) => setTimeout(reject, SEND_TIMEOUT + 60000 * (message.files?.length ?? 0)));
    const progress = message.files ? bubble(message.client)?.querySelector("progress") : null;
    const show = (share) => {
      progress.hidden = false;
      progress.value = share;
    };
    const sent = post(base, fields, { Accept: "application/json" }, progress && show);
    const answer = await Promise.race([sent, timeout]).catch(() => null);
    if (!answer?.ok) return refuse(message, answer);
    if (!stream && answer.headers.get("X-Conversation")) {
      stream = `conversation/${answer.headers.get("X-Conversation")}`;
      socket.follow(stream, handle);
    }
    await fetchNewer();
    settle(message.client);
  }

  function submit() {
    const files = [...(form.elements.files?.files ?? [])];
    const content = text.value;
    if (!content.trim() && files.length === 0) return;
    const message = { client: crypto.randomUUID?.() ?? `m${Date.now()}${Math.floor(Math.random() * 1e9)}`, content,
      type: form.elements.message_type?.value, reply: form.elements.reply_to.value };
    // Files cannot be kept, and without them it would be another message.
    if (files.length === 0) keep([...unsent(), message]);
    const sent = files.length > 0 ? { ...message, files } : message;
    draw(sent);
    transmit(sent);
    form.reset();
    attached.clear();
    text.value = "";
    form.elements.reply_to.value = "";
    document.getElementById("reply-strip").hidden = true;
    typingSentAt = 0;
    if (stream) socket.send({ type: "typing", stream, on: false });
    text.focus();
  }

  if (form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
    });
    text.addEventListener("keydown", (event) => {
      const isTouch = matchMedia("(pointer: coarse)").matches;
      const isSending = event.ctrlKey || event.metaKey || (!event.shiftKey && !isTouch);
      if (event.key === "Enter" && !event.isComposing && isSending) {
        event.preventDefault();
        submit();
      }
    });
    document.getElementById("no-reply").addEventListener("click", (event) => {
      event.preventDefault();
      form.elements.reply_to.value = "";
      document.getElementById("reply-strip").hidden = true;
    });
    // What could not be sent before the page was loaded again.
    for (const message of unsent()) {
      draw(message);
      if (message.refused) fail(message, message.refused === true ? null : message.refused);
      else transmit(message);
    }
  }

  document.getElementById("unread")?.scrollIntoView({ block: "center" });
}
