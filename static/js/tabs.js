// On a phone a row of tabs is wider than the screen; the one being looked at is brought into view.
for (const row of document.querySelectorAll(".tabs, .sections ul")) {
  const here = row.querySelector("[aria-current]");
  if (here) row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
}
