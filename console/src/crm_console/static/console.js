// What HTML and htmx do not do by themselves.

// Times are written by the server, in the reader's zone.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

// A mail's link carries its token behind the `#`: it goes into the form, and out of the address.
const fromHash = document.querySelector("[data-from-hash]");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (fromHash && token) {
  fromHash.querySelector("input").value = token;
  fromHash.hidden = true;
  history.replaceState(null, "", location.pathname);
}

// On a phone the bar shows a part of the sections: the one where we are.
document.querySelector(".bar [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  // Enter sends, Shift and Enter begins a line; while a word is being composed it is neither.
  if (event.key === "Enter" && event.target.matches("[data-enter=send]")) {
    if (event.shiftKey || event.isComposing) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  } else if (event.key === "/" && !typing) {
    event.preventDefault();
    document.querySelector("input[type=search]")?.focus();
  } else if ((event.key === "j" || event.key === "k") && !typing && !event.ctrlKey && !event.metaKey) {
    const rows = [...document.querySelectorAll(".rows a")];
    const here = rows.findIndex((row) => row === document.activeElement);
    rows[Math.max(0, Math.min(rows.length - 1, here + (event.key === "j" ? 1 : -1)))]?.focus();
  }
});

// Who is written to sees it, as long as somebody goes on typing. Where it cannot be shown, it is not.
let typed = 0;
document.addEventListener("input", ({ target }) => {
  if (!target.dataset.typing || Date.now() - typed < 5000) return;
  typed = Date.now();
  fetch(target.dataset.typing, { method: "POST" }).catch(() => {});
});

// Buttons that need no server: an emoji is written where the text's caret is, a chip goes.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[type=button]");
  if (button?.dataset.writes) {
    const text = button.form.elements.content;
    text.setRangeText(button.dataset.writes, text.selectionStart, text.selectionEnd, "end");
    text.focus();
  } else if (button?.dataset.removes) {
    button.closest(button.dataset.removes).remove();
  }
});

// A file needs no text beside it; and the same one can be chosen again.
document.addEventListener("htmx:after:request", ({ target, detail }) => {
  if (!target.matches?.("input[type=file]")) return;
  target.value = "";
  if (detail.ctx.response?.status < 400) target.closest("form").elements.content.required = false;
});

// A card dropped on a column presses that column's button in the card's own menu.
let dragged = "";
document.addEventListener("dragstart", (event) => {
  dragged = event.target.closest?.("[draggable=true]")?.id ?? "";
});
document.addEventListener("dragover", (event) => {
  if (dragged && event.target.closest("[data-status]")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  const status = event.target.closest("[data-status]")?.dataset.status;
  const button = document.getElementById(dragged)?.querySelector(`button[value="${status}"]`);
  if (!button) return;
  event.preventDefault();
  button.form.requestSubmit(button);
});
document.addEventListener("dragend", () => (dragged = ""));

// What was opened stays open when its part of the page is drawn anew.
htmx.config.morphIgnore.push("open");

// An act that went well takes an earlier complaint away.
document.addEventListener("htmx:after:request", (event) => {
  const { request, response } = event.detail.ctx;
  if (request.method !== "GET" && response?.status < 400) {
    document.getElementById("problem").replaceChildren();
  }
});
