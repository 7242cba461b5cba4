// Live: follows the server's events, and renews the parts of the page that they concern.
import { Idiomorph } from "./vendored/idiomorph.js";

const LEAST_MS = 400; // between two renewals
const TICK_MS = 1000; // bars grow while something works, also when nothing is told
const SHARE = 8; // a renewal that takes long is made less often: the server must have time for others

/**
 * Follow the events that `data-live` names, and renew each element with `data-part`.
 * @param {HTMLElement} main The page's main element.
 */
export function follow(main) {
  const state = document.querySelector("[data-state]");
  let isDue = false;
  let isBusy = false;
  let last = 0;
  let took = 0;

  const events = new EventSource(main.dataset.live);
  events.addEventListener("open", () => {
    state.textContent = "";
    ask();
  });
  events.addEventListener("error", () => {
    state.textContent = events.readyState === EventSource.CLOSED ? "The page is not live: load it again." : "Connecting…";
  });
  for (const kind of ["record", "running", "changed"]) events.addEventListener(kind, ask);
  document.addEventListener("renew", ask); // the address has changed
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  setInterval(() => "works" in main.dataset && ask(), TICK_MS);

  function ask() {
    isDue = true;
    if (isBusy || document.hidden) return;
    isBusy = true;
    setTimeout(renew, Math.max(LEAST_MS, took * SHARE) - (performance.now() - last));
  }

  async function renew() {
    isDue = false;
    const began = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.redirected) location.assign(answer.url);
      if (answer.ok) replace(main, new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      state.textContent = "Connecting…"; // the events tell when the server is there again
    }
    last = performance.now();
    took = last - began;
    isBusy = false;
    if (isDue) ask();
  }
}

/**
 * Put the parts of a new page in the places of the old ones. What a person is writing is left as it is.
 * @param {HTMLElement} main The main element of the page that is shown.
 * @param {Document} page The new page.
 */
function replace(main, page) {
  const fresh = page.querySelector("main");
  if (!fresh) return;
  if ("works" in fresh.dataset) main.dataset.works = "";
  else delete main.dataset.works;
  const named = (root) => new Map([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  const before = named(document);
  const after = named(page);
  // Another set of parts is another page: an answer has come, or a first review.
  if ([...before.keys()].join() !== [...after.keys()].join()) return morph(main, fresh);
  for (const [name, part] of after) if (!before.get(name).isEqualNode(part)) morph(before.get(name), part);
}

function morph(old, fresh) {
  Idiomorph.morph(old, fresh, {
    callbacks: {
      // A person has opened it, or writes in it.
      beforeNodeMorphed: (node) => !(node instanceof HTMLElement && node.matches("form[data-touched]")),
      beforeNodeRemoved: (node) => !(node instanceof HTMLElement && node.querySelector("form[data-touched]")),
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details, dialog")),
    },
  });
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("form");
  if (form) form.dataset.touched = "";
});
