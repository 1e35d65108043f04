// Shortcuts, outside of fields.

const PLACES = { a: "/admin/", h: "/", d: "/deals/", g: "/groups/", m: "/messaging/", r: "/rooms/", n: "/notifications/" };

export function listenToKeys() {
  let isGoing = false;
  document.addEventListener("keydown", (event) => {
    const inField = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && inField?.form && inField.form.id !== "composer") {
      inField.form.requestSubmit();
      return;
    }
    if (inField) {
      if (event.key === "Escape") inField.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.keys === "off") return;
    if (isGoing) {
      isGoing = false;
      if (PLACES[event.key]) location.assign(PLACES[event.key]);
      return;
    }
    const field = document.querySelector('main input[type="search"]');
    switch (event.key) {
      case "g":
        isGoing = true;
        setTimeout(() => (isGoing = false), 1500);
        break;
      case "/":
        event.preventDefault();
        if (field) field.focus();
        else location.assign("/search/");
        break;
      case "c":
        event.preventDefault();
        if (document.getElementById("m")) document.getElementById("m").focus();
        else location.assign(document.body.dataset.base ? "/messaging/new/" : "/posts/new/");
        break;
      case "j":
      case "k": {
        const items = [...document.querySelectorAll("article.post, .talk, .notes > li")];
        const at = items.findIndex((item) => item.contains(document.activeElement));
        const next = items[event.key === "j" ? at + 1 : at - 1];
        (next?.querySelector("h2 a, a, button") ?? next)?.focus();
        break;
      }
    }
  });
}
