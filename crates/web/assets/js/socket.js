// One socket for all streams of a page. It reconnects by itself and continues each stream behind the last event.

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;

/** A pause that grows with each failure, 30 % more or less, so that not all browsers come at once. */
export function pause(failures) {
  const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
  return wait * (0.7 + 0.6 * Math.random());
}

export class Socket {
  #streams = new Map();
  #socket = null;
  #failures = 0;
  #timer = null;
  /** How long a server that restarts asks to wait. */
  #announced = null;
  #wasOpen = false;
  #stopped = false;

  /** Called after the connection was lost and is back. */
  onresume = () => {};
  /** Called with `lost`, `back` or `signed-out`. */
  onstate = () => {};

  constructor() {
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.retry();
    });
  }

  /** Follows a stream; `handle` gets its events. */
  follow(name, handle) {
    this.#streams.set(name, { handle, seq: null, epoch: null });
    if (this.isOpen) this.#subscribe(name);
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Sends a frame; `false` if there is no connection. */
  send(frame) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Connects at once, unless there is a connection. */
  retry() {
    if (this.#stopped || this.#socket) return;
    clearTimeout(this.#timer);
    this.open();
  }

  open() {
    if (this.#socket || this.#stopped) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/`);
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#receive(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => this.#closed(event));
  }

  #subscribe(name) {
    const { seq, epoch } = this.#streams.get(name);
    const position = seq === null ? {} : { after: seq, epoch };
    this.send({ type: "subscribe", stream: name, ...position });
  }

  #receive(frame) {
    if (frame.type === "bye") {
      this.#announced = frame.retry_after_ms ?? null;
      return;
    }
    if (frame.type === "hello") {
      this.#failures = 0;
      this.#announced = null;
      for (const name of this.#streams.keys()) this.#subscribe(name);
      if (this.#wasOpen) {
        this.onstate("back");
        this.onresume();
      }
      this.#wasOpen = true;
      return;
    }
    const stream = this.#streams.get(frame.stream);
    if (!stream) return;
    if (frame.type === "subscribed") {
      stream.epoch = frame.epoch;
      if (stream.seq === null) stream.seq = frame.last_seq;
    }
    if (typeof frame.seq === "number") stream.seq = frame.seq;
    stream.handle(frame);
  }

  async #closed(event) {
    this.#socket = null;
    if (event.code === 4401 && !(await this.#isSignedIn())) {
      this.#stopped = true;
      this.onstate("signed-out");
      return;
    }
    // Another tab of the same person has taken the place: this one comes back when somebody looks at it.
    if (event.code === 4409) return;
    this.onstate("lost");
    const wait = event.code === 4429 ? LONGEST_WAIT : (this.#announced ?? pause(this.#failures));
    this.#announced = null;
    this.#failures += 1;
    this.#timer = setTimeout(() => this.open(), wait);
  }

  async #isSignedIn() {
    const answer = await fetch("/notifications/counts/", { redirect: "manual" }).catch(() => null);
    return answer === null || answer.ok;
  }
}
