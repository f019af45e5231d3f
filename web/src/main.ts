import "./style.css";
import { Api } from "./api";
import { Board } from "./board";
import { find } from "./dom";
import { Playground } from "./playground";

const kKey = "qwen3guard-api-key"; // forgotten with the browser's tab

const keyField = find("key", HTMLInputElement);
keyField.value = sessionStorage.getItem(kKey) ?? "";
const api = new Api(() => keyField.value.trim());
const playground = new Playground(api);
// A gateway judges what passes through it and has nothing to play with.
const board = new Board(api, () => {
  find("tab-playground", HTMLElement).hidden = true;
  show("board");
});

keyField.addEventListener("change", () => {
  sessionStorage.setItem(kKey, keyField.value.trim());
  playground.retry();
  board.restart();
});

const tabs = ["playground", "board"].map((name) => ({
  name,
  tab: find(`tab-${name}`, HTMLButtonElement),
  view: find(name, HTMLElement),
}));

function show(name: string): void {
  for (const { tab, view, name: own } of tabs) {
    const chosen = own === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    view.hidden = !chosen;
  }
}

tabs.forEach(({ tab, name }, i) => {
  tab.addEventListener("click", () => history.replaceState(null, "", `#${name}`));
  tab.addEventListener("click", () => show(name));
  tab.addEventListener("keydown", ({ key }) => {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return;
    const next = tabs[(i + 1) % tabs.length]!.tab;
    next.click();
    next.focus();
  });
});
show(location.hash === "#board" ? "board" : "playground");
