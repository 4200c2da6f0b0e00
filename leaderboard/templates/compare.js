// Models side by side: their places in words, every rate on one axis, and each reference's signals.
const MOST = 4;

const fileOf = (row) => row[0].replace(/^.*\//, "").replace(/\.html$/, "");

const apart = (one, other) => {
  if (one.rank === null || other.rank === null) return null;
  const [[, , low, high], [, , from, to]] = [one.row, other.row];
  const how = low <= to && from <= high ? "overlap: not told apart" : "do not overlap";
  return `The places of ${one.name} (${places(one.row)}) and ${other.name} (${places(other.row)}) ${how}.`;
};

const estimate = (value, kind, axis) => {
  const [x, low, high, n] = value ?? [null, null, null, 0];
  const td = make("td", { title: told(x, low, high, n, kind) }, x === null ? UNKNOWN : tenths(x, kind === "difference"));
  if (x === null) return td;
  td.append(bar(x, low, high, axis));
  td.append(make("small", {}, `${interval(low, high, kind).replace(unit(kind), "")} · n ${thousands(n)}`));
  return td;
};

function comparison(panel, models, axis, family, remove) {
  panel.hidden = models.length === 0;
  panel.replaceChildren();
  if (!models.length) return;
  const head = make("tr", {}, make("td"));
  for (const { index, row, name } of models) {
    const off = make("button", { type: "button", className: "pick", "aria-label": `Compare ${name} no more` }, "remove");
    off.addEventListener("click", () => remove(index));
    head.append(make("th", { scope: "col", className: "text" }, make("a", { href: row[0] }, name), make("small", {}, off)));
  }
  const line = (label, cells) => make("tr", {}, make("th", { scope: "row", className: "text" }, label), ...cells);
  const rates = make("tbody", {}, line("Place", models.map(({ rank, row }) => (
    make("td", {}, rank === null ? UNKNOWN : String(rank), make("small", {}, rank === null ? "not ranked" : `${places(row)} within 95${THIN}%`))
  ))));
  models[0].values.forEach(({ header, kind }, i) => {
    const ends = kind === "difference" ? axis : [0, 1000];
    rates.append(line(header, models.map(({ values }) => estimate(values[i].value, kind, ends))));
  });
  panel.append(make("h3", {}, "Side by side"));
  const pairs = models.flatMap((one, i) => models.slice(i + 1).map((other) => apart(one, other))).filter(Boolean);
  panel.append(...pairs.map((text) => make("p", { className: "small" }, text)));
  if (models.length === 1) panel.append(make("p", { className: "small" }, `Choose up to ${MOST - 1} more in the table.`));
  const scroll = (label, table) => make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": label }, table);
  panel.append(scroll("Rates side by side", make("table", {}, make("thead", {}, head), rates)));

  const script = document.querySelector("[data-matrix] script");
  const grid = script && JSON.parse(script.textContent);
  const shown = grid ? models.map(({ row }) => grid.columns.findIndex(([, href]) => href === row[0])) : [];
  if (!shown.some((c) => c >= 0)) return;
  const lift = 2 + 3 * grid.measures.findIndex(({ key }) => key === "lift");
  const cells = grid.families[Math.min(family, grid.families.length - 1)].cells;
  const body = make("tbody");
  grid.rows.forEach(([name], r) => {
    body.append(line(name, shown.map((c) => {
      const found = c < 0 ? 0 : cells[r * grid.columns.length + c];
      if (!found) return make("td", { title: "not among the columns of the heat map" }, UNKNOWN);
      const td = estimate([...found.slice(lift, lift + 3), found[1]], "difference", [-1000, 1000]);
      if (found[0]) td.append(make("small", {}, make("span", { className: "badge" }, "own")));
      return td;
    })));
  });
  const caption = make("caption", {}, "Lift on the signals of each reference, percentage points");
  const heads = make("thead", {}, make("tr", {}, make("td"), ...models.map(({ name }) => make("th", { scope: "col", className: "text" }, name))));
  panel.append(make("details", {}, make("summary", {}, "Reference by reference"), scroll("Lift by reference", make("table", {}, caption, heads, body))));
}
