// The page stays what the server would show: parts that have changed are fetched whole and morphed into place.
import { follow } from "./live.js";

const main = document.querySelector("main");
if (main.dataset.live) follow(main);
