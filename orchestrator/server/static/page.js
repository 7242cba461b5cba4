// The page stays what the server would show: parts that have changed are fetched whole and morphed into place.
import { follow } from "./live.js";
import "./plan_table.js";
import "./once.js";
import "./thread.js";

const main = document.querySelector("main");
if (main.dataset.live) follow(main);

// Choices such as a density stay chosen on the next thread. The server draws, so it has to know them.
document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-remember] [data-value]");
  if (!choice) return;
  const name = choice.closest("[data-remember]").dataset.remember;
  document.cookie = `${name}=${choice.dataset.value}; Max-Age=31536000; Path=/; SameSite=Strict`;
});
