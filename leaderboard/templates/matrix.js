// Colours of a scale between its stops, and black or white ink on them.
const mix = (stops, share) => {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(place), stops.length - 2);
  const part = (stop, k) => parseInt(stop.slice(1 + 2 * k, 3 + 2 * k), 16);
  return [0, 1, 2].map((k) => Math.round(part(stops[i], k) + (part(stops[i + 1], k) - part(stops[i], k)) * (place - i)));
};
const isLight = (rgb) => {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
};
// One colour for a light page, one for a dark page.
const lightDark = ([light, dark]) => `light-dark(${light}, ${dark})`;

function matrix(place) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const [switches, readout, area] = [".switches", ".readout", ".grid"].map((name) => place.querySelector(name));
  const { columns, families, shared } = data;
  const short = (name) => name.slice(shared.length);
  const known = {
    measure: data.measures.map(({ key }) => key),
    signals: families.map(({ family }) => family),
    rows: data.classes.length ? ["reference", "class"] : ["reference"],
  };
  const state = Object.fromEntries(Object.entries(known).map(([key, names]) => [key, Math.max(0, names.indexOf(chosen.get(key)))]));
  // Rows are references with every measure, or classes with the first one alone.
  const byClass = () => state.rows === 1;
  const rows = () => (byClass() ? data.classes : data.rows);
  const measure = () => data.measures[byClass() ? 0 : state.measure];
  const large = () => rows().length * columns.length <= 240;
  const at = (r, c) => families[state.signals][byClass() ? "classes" : "cells"][r * columns.length + c];
  const number = (cell) => {
    const first = 2 + 3 * (byClass() ? 0 : state.measure);
    return cell && cell.slice(first, first + 3);
  };

  const scales = (kind) => (kind === "difference" ? data.differences : data.rates);

  const sentence = (r, c) => {
    const cell = at(r, c);
    const { header, kind } = measure();
    const pair = `signals of ${byClass() ? "class " : ""}${rows()[r][0]}, judged by ${columns[c][0]}`;
    if (!cell) return `${pair}: not evaluated`;
    const own = cell[0] ? "; the model’s own signals, or of one it is a near copy of: in no mean" : "";
    return `${pair}: ${header.toLowerCase()} ${told(...number(cell), cell[1], kind)}${own}`;
  };
  const paint = (td, r, c) => {
    const cell = at(r, c);
    const { kind } = measure();
    const value = cell ? number(cell)[0] : null;
    td.className = cell && cell[0] ? "own" : value === null ? "none" : "";
    td.style.background = td.style.color = "";
    if (value !== null && !td.className) {
      const share = kind === "difference" ? (value / 1000 + 1) / 2 : value / 1000;
      const colours = scales(kind).map((stops) => mix(stops, share));
      td.style.background = lightDark(colours.map((rgb) => `rgb(${rgb})`));
      td.style.color = lightDark(colours.map((rgb) => (isLight(rgb) ? "#000" : "#fff")));
    }
    const signed = kind === "difference";
    const text = value === null ? UNKNOWN : large() ? tenths(value, signed) : tenths(Math.round(value / 10) * 10, signed).slice(0, -2);
    td.firstChild.textContent = text;
    td.firstChild.setAttribute("aria-label", sentence(r, c));
  };

  const table = make("table", { role: "grid", "aria-label": "Who accepts whose signals" });
  const head = make("tr", {}, make("th", { className: "corner", scope: "col" }));
  if (shared) head.firstChild.append(make("small", {}, `${shared}…`));
  const corner = make("span");
  head.firstChild.append(corner);
  columns.forEach(([name, href], c) => {
    const label = href ? make("a", { href, tabIndex: -1 }, short(name)) : make("span", {}, short(name));
    head.append(make("th", { scope: "col", title: name, className: c === data.n_references ? "apart" : "" }, label));
  });
  table.append(make("thead", {}, head));
  const body = make("tbody");
  let cells = [];
  const build = () => {
    corner.textContent = byClass() ? "signals of class ↓ judged by →" : "signals of ↓ judged by →";
    table.classList.toggle("small", !large());
    body.replaceChildren();
    cells = rows().map(([name, anchor], r) => {
      const line = make("tr", {}, make("th", { scope: "row", title: name }, byClass() ? name : short(name)));
      body.append(line);
      return columns.map(([, href], c) => {
        const inside = href ? make("a", { href: `${href}#${anchor}` }) : make("span");
        inside.append("");
        inside.tabIndex = -1;
        [inside.dataset.r, inside.dataset.c] = [r, c];
        const td = make("td", {}, inside);
        line.append(td);
        return td;
      });
    });
    stop(0, 0);
  };
  table.append(body);
  const draw = () => cells.forEach((line, r) => line.forEach((td, c) => {
    paint(td, r, c);
    td.classList.toggle("apart", c === data.n_references && c > 0);
  }));

  // One stop for the Tab key; arrows move within.
  let [row, column] = [0, 0];
  const stop = (r, c) => {
    if (cells[row]?.[column]) cells[row][column].firstChild.tabIndex = -1;
    [row, column] = [r, c];
    cells[r][c].firstChild.tabIndex = 0;
  };
  const where = (event) => {
    const inside = event.target.closest("td")?.firstChild;
    return inside ? [Number(inside.dataset.r), Number(inside.dataset.c)] : null;
  };
  body.addEventListener("keydown", (event) => {
    const place = where(event);
    if (!place) return;
    const [r, c] = place;
    const to = {
      ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c],
      Home: [r, 0], End: [r, columns.length - 1],
    }[event.key];
    if (!to || !cells[to[0]]?.[to[1]]) return;
    event.preventDefault();
    stop(...to);
    cells[to[0]][to[1]].firstChild.focus();
  });
  for (const name of ["mouseover", "focusin"]) {
    body.addEventListener(name, (event) => {
      const place = where(event);
      if (!place) return;
      readout.textContent = sentence(...place);
      if (name === "focusin") stop(...place);
    });
  }

  const choice = (label, key, names) => {
    const group = make("div", { className: "switch", role: "group", "aria-label": label });
    const buttons = names.map((name, i) => {
      const button = make("button", { type: "button", "aria-pressed": String(i === state[key]), "data-of": key }, name);
      button.addEventListener("click", () => {
        state[key] = i;
        remember(key, i ? known[key][i] : "");
        buttons.forEach((other, j) => other.setAttribute("aria-pressed", String(i === j)));
        if (key === "rows") build();
        draw();
        scale();
      });
      return button;
    });
    group.append(...buttons);
    if (names.length > 1) switches.append(group);
  };
  const legend = make("span", { className: "legend" });
  const scale = () => {
    const { kind } = measure();
    for (const button of switches.querySelectorAll("[data-of=measure]")) button.disabled = byClass() && button.textContent !== measure().header;
    const [light, dark] = scales(kind);
    const ends = kind === "difference" ? ["−100", "+100 pp"] : ["0", "100 %"];
    const ramp = make("i");
    ramp.style.background = `linear-gradient(90deg, ${light.map((stop, i) => lightDark([stop, dark[i]])).join(", ")})`;
    legend.replaceChildren(ends[0], ramp, ends[1]);
  };
  choice("Measure", "measure", data.measures.map(({ header }) => header));
  choice("Family of signals", "signals", known.signals);
  choice("Rows", "rows", known.rows.map((name) => `by ${name}`));
  switches.append(legend);
  build();
  draw();
  scale();
  area.append(table);
  place.hidden = false;
}
