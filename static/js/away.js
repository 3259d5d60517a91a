// Says so when htmx's requests get no answer, or only failures, and takes it back with the next good one.
const away = document.getElementById("away");

document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr, successful } = event.detail;
  const told = xhr.getAllResponseHeaders().toLowerCase().includes("hx-retarget"); // the answer says itself what failed
  if (away) away.hidden = successful || told || (xhr.status > 0 && xhr.status < 500);
});
