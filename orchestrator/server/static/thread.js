// Selecting a sub-task shows its details without loading the page anew. All of it works as links without this.
const LINKS = ".timeline a.row, .timeline .path a, .plan-graph a, a[data-select]";

document.addEventListener("click", (event) => {
  const link = event.target.closest(LINKS);
  const isPlain = !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  // On a phone the details are below, and the link jumps there.
  if (!link || !isPlain || !document.querySelector("main[data-live]") || matchMedia("(max-width: 900px)").matches) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href").split("#")[0]);
  document.dispatchEvent(new Event("renew"));
});
addEventListener("popstate", () => document.dispatchEvent(new Event("renew")));
