// The page asks for itself, and takes over what has changed; what is being written stays.
const shown = new Map();
const parts = (page) => page.querySelectorAll("[data-live]");
const toEnd = () => { const chat = document.getElementById("chat"); if (chat) chat.scrollTop = chat.scrollHeight; };

async function look() {
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const fresh of parts(page)) {
      const old = document.getElementById(fresh.id);
      if (!old || shown.get(fresh.id) === fresh.innerHTML || old.querySelector("details[open]")) continue;
      shown.set(fresh.id, fresh.innerHTML);
      old.replaceChildren(...fresh.childNodes);
      if (fresh.id === "chat") toEnd();
    }
  } catch { /* the simulator is away: ask again */ }
  finally { setTimeout(look, 500); }
}

for (const part of parts(document)) shown.set(part.id, part.innerHTML);
document.querySelector("textarea[name=text]")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});
toEnd();
look();
