// Notifications of this browser while no page is open.
import { refusal, toast, token } from "./requests.js";

const API = "/api/notifications/";

function api(method, path, body) {
  const headers = { "X-CSRF-Token": token(), Accept: "application/json", "Content-Type": "application/json" };
  return fetch(`${API}${path}`, { method, headers, body: body && JSON.stringify(body) });
}

function keyOf(text) {
  const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Offers to turn the notifications of this browser on and off. */
export async function offerPush(card) {
  const hasPush = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  const [on, off] = ["push-on", "push-off"].map((id) => document.getElementById(id));
  const state = document.getElementById("push-state");
  const key = await api("GET", "push-key/").catch(() => null);
  // Without keys the server sends none.
  if (!key?.ok) return;
  card.hidden = false;
  const worker = hasPush ? await navigator.serviceWorker.register("/push-worker.js").catch(() => null) : null;
  if (!worker) {
    state.textContent = state.dataset.unsupported;
    return;
  }
  const { public_key: publicKey } = await key.json();

  async function show() {
    const isOn = Boolean(await worker.pushManager.getSubscription());
    const isDenied = Notification.permission === "denied";
    on.hidden = isOn || isDenied;
    off.hidden = !isOn;
    state.textContent = isDenied ? state.dataset.denied : isOn ? state.dataset.on : state.dataset.off;
  }

  /** Does something, and says so if it fails. */
  async function attempt(change) {
    try {
      const answer = await change();
      if (answer && !answer.ok) toast((await refusal(answer)).reason);
    } catch {
      toast("");
    }
    await show();
  }

  on.addEventListener("click", () => attempt(async () => {
    if ((await Notification.requestPermission()) !== "granted") return null;
    const options = { userVisibleOnly: true, applicationServerKey: keyOf(publicKey) };
    const subscription = await worker.pushManager.subscribe(options);
    const { endpoint, keys } = subscription.toJSON();
    const answer = await api("POST", "push-subscriptions/", { endpoint, keys });
    if (!answer.ok) await subscription.unsubscribe();
    return answer;
  }));
  off.addEventListener("click", () => attempt(async () => {
    const subscription = await worker.pushManager.getSubscription();
    if (!subscription) return null;
    const answer = await api("DELETE", "push-subscriptions/", { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
    return answer;
  }));
  await show();
}
