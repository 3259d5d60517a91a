// Keeps "5 min ago" true while a page stays open. The wording is that of relative_time() on the server.
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function words(distance) {
  if (distance < HOUR) return `${Math.min(Math.max(Math.round(distance / MINUTE), 1), 59)} min`;
  if (distance < DAY) return `${Math.floor(distance / HOUR)} h`;
  const days = Math.floor(distance / DAY);
  return days === 1 ? "1 day" : `${days} days`;
}

function tick() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const since = Date.now() - Date.parse(element.dateTime);
    const distance = Math.abs(since);
    if (distance >= 31 * DAY) continue; // a date, which stays true
    const near = since > -5_000 ? "just now" : "in a moment";
    const said = distance < 45_000 ? near : since > 0 ? `${words(distance)} ago` : `in ${words(distance)}`;
    if (element.textContent !== said) element.textContent = said;
  }
}

setInterval(tick, 15_000);
document.addEventListener("visibilitychange", tick);
