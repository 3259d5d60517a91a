// Messages can be put away; the button appears only where it works.
function offer() {
  for (const button of document.querySelectorAll("[data-dismiss][hidden]")) button.hidden = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  if (button) button.closest("[data-message]").remove();
});
document.addEventListener("htmx:oobAfterSwap", offer);
offer();
