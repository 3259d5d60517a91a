// Shortcut keys of a list of questions. J and K go to the next and the previous item; a key named by data-key presses its
// button in the item one is at, or else on the page. Never while one types, and the button beside the legend turns them
// off for good (WCAG 2.1.4). Whatever a key does, a button does without JavaScript.
const OFF = "keys-off";
const TYPING = "input, select, textarea, [contenteditable], dialog";
const legend = document.querySelector("[data-keys]");
const items = () => [...document.querySelectorAll("[data-item]")];
let at = items().find((item) => `#${item.id}` === location.hash) ?? items()[0];

function isOff() {
  return localStorage.getItem(OFF) !== null;
}

function show() {
  for (const item of items()) item.toggleAttribute("data-at", item === at && !isOff());
  for (const hint of document.querySelectorAll("[data-key-hint]")) hint.hidden = isOff();
  legend.hidden = false;
  legend.querySelector("[data-keys-switch]").textContent = isOff() ? "Use shortcut keys" : "Turn keys off";
}

function go(step) {
  const all = items();
  at = all[Math.min(Math.max(all.indexOf(at) + step, 0), all.length - 1)] ?? at;
  at?.focus();
  at?.scrollIntoView({ block: "nearest" });
  show();
}

function press(key) {
  const named = `[data-key="${CSS.escape(key)}"]`;
  const outside = [...document.querySelectorAll(named)].find((button) => !button.closest("[data-item]"));
  (at?.querySelector(named) ?? outside)?.click();
}

if (legend) {
  document.addEventListener("keydown", (event) => {
    if (isOff() || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest(TYPING)) return;
    const key = event.key.toLowerCase();
    if (key === "j" || key === "k") go(key === "j" ? 1 : -1);
    else if (!event.repeat) press(key);
  });
  document.addEventListener("focusin", (event) => {
    at = event.target.closest("[data-item]") ?? at;
    show();
  });
  legend.querySelector("[data-keys-switch]").addEventListener("click", () => {
    if (isOff()) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
    show();
  });
  show();
  if (location.hash && at) at.focus();
}
