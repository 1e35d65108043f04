// The board of a pipeline: cards are dragged, or lifted with the keyboard, and the board follows the changes of others.
// A move is the form of the card's menu; the answer is the board.
import { part, post, refusal, toast } from "./requests.js";
import { pause } from "./socket.js";

const REFRESH_AFTER = 500;

export function followBoard(socket) {
  const org = document.body.dataset.board;
  const status = document.getElementById("board-status");
  const board = () => document.getElementById("board");
  const headers = part("div#board");
  let held = null;
  // The number of moves until now: a board that was read before the last one does not show it.
  let moves = 0;

  // --- Showing

  function say(key, values) {
    const text = status.dataset[key] ?? "";
    status.textContent = text.replace(/%(\w+)/g, (_, name) => values[name] ?? "");
  }

  /** Shows a fresh board, and keeps focus and scroll position. */
  function show(html) {
    const parsed = new DOMParser().parseFromString(html, "text/html");
    const fresh = parsed.getElementById("board");
    if (!fresh) return false;
    const focused = document.activeElement?.closest?.(".deal")?.id;
    const left = board().querySelector(".board").scrollLeft;
    board().replaceChildren(...fresh.childNodes);
    prepare();
    board().querySelector(".board").scrollLeft = left;
    if (focused) document.getElementById(focused)?.querySelector("h3 a").focus({ preventScroll: true });
    return true;
  }

  /** Whether a card is held or a menu is open, which a fresh board would take away. */
  const isBusy = () => held || board().querySelector(":popover-open");

  let isFetching = false;
  let again = false;
  let failures = 0;
  let timer = null;
  /** Reads the board again soon, one request at a time. Changes meanwhile are one more. */
  function refresh(wait = REFRESH_AFTER * (1 + Math.random())) {
    if (isFetching) again = true;
    else timer ??= setTimeout(fetchBoard, wait);
  }

  async function fetchBoard() {
    timer = null;
    if (isBusy()) return refresh();
    isFetching = true;
    again = false;
    const known = moves;
    const answer = await fetch(location.href, { headers }).catch(() => null);
    const html = answer?.ok ? await answer.text().catch(() => "") : "";
    isFetching = false;
    if (isBusy() || moves !== known) return refresh();
    // What was refused for good would be refused again.
    const isLost = !answer || answer.status >= 500 || [408, 429].includes(answer.status) || (answer.ok && !html);
    if (isLost) {
      refresh(pause(failures));
      failures += 1;
      return;
    }
    failures = 0;
    show(html);
    if (again) refresh();
  }

  // --- Moving

  const columnOf = (card) => card.closest(".col");
  const cardsOf = (column) => [...column.querySelectorAll(".deal")];

  function lift(card) {
    const gap = document.createElement("li");
    gap.className = "deal-gap";
    held = { card, gap, column: columnOf(card), next: card.nextElementSibling };
    card.classList.add("deal-lifted");
  }

  function putBack() {
    const { card, gap, column, next } = held;
    gap.remove();
    card.classList.remove("deal-lifted");
    column.querySelector(".col-cards").insertBefore(card, next);
    unmark();
    held = null;
  }

  function unmark() {
    for (const column of board().querySelectorAll(".col-drop")) column.classList.remove("col-drop");
  }

  /** Moves the held card to where it shall stay, on the server too. */
  async function drop(column, before) {
    const { card, gap } = held;
    const { number, deal } = card.dataset;
    held.isSent = true;
    moves += 1;
    if (column.dataset.kind === "lost" && column !== held.column) {
      putBack();
      location.assign(`/deals/${org}/deals/${deal}/move/?stage=${column.dataset.stage}`);
      return;
    }
    const list = column.querySelector(".col-cards");
    list.insertBefore(card, before);
    gap.remove();
    card.classList.remove("deal-lifted");
    unmark();
    const fields = { stage: column.dataset.stage, next: location.pathname + location.search };
    if (before?.dataset.deal) fields.before = before.dataset.deal;
    else if (card.previousElementSibling?.dataset.deal) fields.after = card.previousElementSibling.dataset.deal;
    const action = `/deals/${org}/deals/${deal}/move/`;
    const answer = await post(action, fields, headers).catch(() => null);
    const { reason } = await refusal(answer);
    const text = (await answer?.text().catch(() => "")) ?? "";
    moves += 1;
    if (answer?.ok && show(text)) {
      held = null;
      say("moved", { deal: number, stage: column.dataset.name });
      document.getElementById(`deal-${deal}`)?.querySelector("h3 a").focus({ preventScroll: true });
      return;
    }
    putBack();
    const page = new DOMParser().parseFromString(text, "text/html");
    toast(reason || page.querySelector("#form-error p, .error span")?.textContent);
    say("back", { deal: number });
    refresh();
  }

  // --- Dragging

  function prepare() {
    for (const card of board().querySelectorAll(".deal")) {
      card.draggable = Boolean(card.querySelector(".move"));
      // The link covers the card, and would be dragged instead.
      card.querySelector("h3 a").draggable = false;
    }
  }

  const root = board();
  root.addEventListener("dragstart", (event) => {
    const card = event.target.closest?.(".deal");
    if (!card || held) return;
    lift(card);
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", card.dataset.number);
  });
  root.addEventListener("dragover", (event) => {
    const column = event.target.closest?.(".col");
    if (!held || held.isSent || !column) return;
    event.preventDefault();
    unmark();
    column.classList.add("col-drop");
    const below = cardsOf(column).find((card) => {
      const { top, height } = card.getBoundingClientRect();
      return card !== held.card && event.clientY < top + height / 2;
    });
    column.querySelector(".col-cards").insertBefore(held.gap, below ?? null);
  });
  root.addEventListener("drop", (event) => {
    const column = event.target.closest?.(".col");
    if (!held || held.isSent || !column) return;
    event.preventDefault();
    let before = held.gap.nextElementSibling;
    if (before === held.card) before = before.nextElementSibling;
    drop(column, before);
  });
  root.addEventListener("dragend", () => {
    if (held && !held.isSent) putBack();
  });

  // --- Keys

  /** Puts the held card to a place, and says where it is. */
  function place(column, before) {
    column.querySelector(".col-cards").insertBefore(held.card, before);
    const cards = cardsOf(column);
    const values = { deal: held.card.dataset.number, stage: column.dataset.name };
    say("at", { ...values, place: cards.indexOf(held.card) + 1, count: cards.length });
    held.card.querySelector("h3 a").focus();
    held.card.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function moveHeld(key) {
    const { card } = held;
    const column = columnOf(card);
    if (key === "ArrowUp" && card.previousElementSibling) place(column, card.previousElementSibling);
    if (key === "ArrowDown" && card.nextElementSibling) place(column, card.nextElementSibling.nextElementSibling);
    const sideways = getComputedStyle(root).direction === "rtl" ? -1 : 1;
    const step = { ArrowRight: sideways, ArrowLeft: -sideways }[key];
    const columns = [...board().querySelectorAll(".col")];
    const target = step && columns[columns.indexOf(column) + step];
    if (target) place(target, cardsOf(target)[0] ?? null);
  }

  function walk(card, key) {
    const columns = [...board().querySelectorAll(".col")];
    const column = columnOf(card);
    const cards = cardsOf(column);
    const at = cards.indexOf(card);
    let target = null;
    if (key === "j" || key === "ArrowDown") target = cards[at + 1];
    if (key === "k" || key === "ArrowUp") target = cards[at - 1];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    for (let index = columns.indexOf(column) + step; step && columns[index] && !target; index += step) {
      const others = cardsOf(columns[index]);
      target = others[Math.min(at, others.length - 1)];
    }
    target?.querySelector("h3 a").focus();
    return Boolean(target);
  }

  root.addEventListener("keydown", (event) => {
    const card = event.target.closest?.(".deal");
    if (!card || held?.isSent || event.target.closest(".menu") || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    if (!held) {
      if (key === "m" && card.querySelector(".move")) {
        lift(card);
        say("lifted", { deal: card.dataset.number });
      } else if (!["j", "k", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"].includes(key) || !walk(card, key)) {
        return;
      }
    } else if (key === "Enter") {
      drop(columnOf(held.card), held.card.nextElementSibling);
    } else if (key === "Escape") {
      const { number } = held.card.dataset;
      const link = held.card.querySelector("h3 a");
      putBack();
      link.focus();
      say("back", { deal: number });
    } else {
      const columns = [...board().querySelectorAll(".col")];
      const kind = { w: "won", l: "lost" }[key];
      const target = kind ? columns.find((column) => column.dataset.kind === kind) : columns[Number(key) - 1];
      if (target) drop(target, cardsOf(target).find((other) => other !== held.card) ?? null);
      else moveHeld(key);
    }
    event.preventDefault();
    event.stopPropagation();
  });

  prepare();
  socket.follow(`deals_board/${org}`, (frame) => {
    if (frame.type === "board_changed") refresh();
  });
}
