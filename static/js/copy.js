// Copies what stands in a field; the button appears only where that works.
function offer(root) {
  if (!navigator.clipboard) return; // only on https and on this machine
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  const said = document.getElementById(`${button.dataset.copy}-said`);
  try {
    await navigator.clipboard.writeText(field.value);
    said.textContent = "Copied.";
  } catch {
    said.textContent = "Your browser does not let the hub copy. The text is selected: copy it with the keyboard.";
  }
});
document.addEventListener("htmx:afterSwap", () => offer(document));
offer(document);
