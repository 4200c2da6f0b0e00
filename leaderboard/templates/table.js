"use strict";
// Sortable tables of pairs. A cell's value is the number or the text it begins with; a dash sorts last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const value = (cell) => {
    const text = (cell.firstChild?.textContent ?? "").trim();
    const number = Number.parseFloat(text.replace("−", "-"));
    return text === "–" ? null : cell.tagName === "TD" && !Number.isNaN(number) ? number : text.toLowerCase();
  };
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const down = now ? now === "ascending" : column > 0;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
      rows.sort(([a], [b]) => {
        if (a === b) return 0;
        if (a === null || b === null) return a === null ? 1 : -1;
        return (a < b ? -1 : 1) * (down ? -1 : 1);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// Who comes by a link to a row in a closed part finds it open.
const reveal = () => {
  const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  const closed = target?.closest("details:not([open])");
  if (closed) {
    closed.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", reveal);
reveal();

// One sound at a time.
document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
}, true);
