// Messages can be put away; the button appears only where it works.
function offer() {
  for (const button of document.querySelectorAll("[data-dismiss][hidden]")) button.hidden = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  if (button) button.closest("[data-message]").remove();
});
document.addEventListener("htmx:oobAfterSwap", offer);
document.addEventListener("htmx:afterSwap", offer);

// htmx drops the body of an error; one that names the place where it is to be shown is told to the person.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.getResponseHeader("HX-Retarget")) event.detail.shouldSwap = true;
});
offer();
