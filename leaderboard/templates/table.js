"use strict";
// Sortable, filterable tables. Cells carry their value in data-value; an empty one sorts last either way.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const bodies = [...table.tBodies];

  const compare = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const [x, y] = [Number(a), Number(b)];
    const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
    return sign * order;
  };

  const sort = (head) => {
    const column = heads.indexOf(head);
    const now = head.getAttribute("aria-sort");
    const down = now ? now === "ascending" : head.dataset.first === "descending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    for (const body of bodies) {
      const label = body.querySelector("tr.divider");
      const rows = [...body.rows].filter((row) => row !== label);
      rows.sort((a, b) => compare(a.cells[column].dataset.value, b.cells[column].dataset.value, down ? -1 : 1));
      body.append(...rows);
    }
  };

  for (const head of heads) {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sort(head));
  }

  const filter = document.querySelector(`input[data-table="${table.id}"]`);
  if (!filter) continue;
  filter.closest(".filter").hidden = false;
  const count = filter.closest(".filter").querySelector("output");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let all = 0;
    for (const body of bodies) {
      let here = 0;
      for (const row of body.rows) {
        if (row.className === "divider") continue;
        const text = row.dataset.search.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        here += row.hidden ? 0 : 1;
        all += 1;
      }
      body.hidden = here === 0;
      shown += here;
    }
    count.textContent = words.length ? `${shown} of ${all}` : "";
  });
}

// One sound at a time.
document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
}, true);
