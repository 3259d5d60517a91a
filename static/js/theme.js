// Changes the theme at once; the same POST that works without JavaScript remembers it.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-theme-form]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  const fields = new FormData(form, event.submitter);
  document.documentElement.dataset.theme = theme;
  document.querySelector('meta[name="color-scheme"]').content = theme === "auto" ? "light dark" : theme;
  for (const button of form.querySelectorAll("[aria-pressed]")) {
    button.setAttribute("aria-pressed", String(button === event.submitter));
  }
  form.closest("details").open = false;
  document.dispatchEvent(new CustomEvent("hub:theme"));
  await fetch(form.action, { method: "POST", body: fields, redirect: "manual" });
});
