// The board of the app: Gradio replaces what `element` holds, so `element` listens. See table.js for the site.
const compare = (a, b, sign) => {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [Number(a), Number(b)];
  return sign * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y);
};

element.addEventListener("click", (event) => {
  const head = event.target.closest("table.sortable thead th");
  if (!head || !event.target.closest("button")) return;
  const table = head.closest("table");
  const now = head.getAttribute("aria-sort");
  const down = now ? now === "ascending" : head.dataset.first === "descending";
  for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => row.className !== "divider");
    const value = (row) => row.cells[head.cellIndex].dataset.value;
    rows.sort((a, b) => compare(value(a), value(b), down ? -1 : 1));
    body.append(...rows);
  }
});

element.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...element.querySelectorAll("tbody tr[data-search]")];
  for (const row of rows) row.hidden = !words.every((word) => row.dataset.search.toLowerCase().includes(word));
  const shown = rows.filter((row) => !row.hidden).length;
  element.querySelector(".filter output").textContent = words.length ? `${shown} of ${rows.length}` : "";
});
