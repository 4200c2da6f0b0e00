"use strict";
// The page of a task. Data comes from the page's own JSON; all of it is written as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";
const UNKNOWN = "–";
const THIN = "\u202f";
const HEAD = 7; // page, reference, best place, worst place, tie, note, architecture; then a value per column
const [PAGE, REFERENCE, LOW, HIGH, TIE, NOTE, ARCHITECTURE] = [0, 1, 2, 3, 4, 5, 6];

const make = (name, properties = {}, ...inside) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...inside);
  return element;
};
const thousands = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
const tenths = (n, signed) => `${n < 0 ? "−" : signed && n > 0 ? "+" : ""}${(Math.abs(n) / 10).toFixed(1)}`;
const unit = (kind) => THIN + (kind === "difference" ? "pp" : "%");
const compact = (n) => {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (n >= size) return (n / size).toFixed(1) + THIN + letter;
  }
  return String(n);
};
const interval = (low, high, kind) => {
  const signed = kind === "difference";
  return low === null || high === null ? UNKNOWN : `${tenths(low, signed)} to ${tenths(high, signed)}${unit(kind)}`;
};
const told = (value, low, high, n, kind) => {
  if (value === null) return "nothing to count (n = 0)";
  const bounds = low === null ? "" : `95${THIN}% interval ${interval(low, high, kind)}, `;
  return `${tenths(value, kind === "difference")}${unit(kind)} (${bounds}n = ${thousands(n)})`;
};

// An estimate as a dot on its interval: what plots.interval_bar draws.
const bar = (value, low, high, axis) => {
  const at = (x) => 4 + (80 * (Math.min(Math.max(x, axis[0]), axis[1]) - axis[0])) / (axis[1] - axis[0]);
  const svg = document.createElementNS(SVG, "svg");
  const add = (name, attributes) => {
    const shape = document.createElementNS(SVG, name);
    for (const [key, x] of Object.entries(attributes)) shape.setAttribute(key, x);
    svg.append(shape);
  };
  const outer = { class: "ib", viewBox: "0 0 88 14", width: 88, height: 14, "aria-hidden": "true" };
  for (const [key, x] of Object.entries(outer)) svg.setAttribute(key, x);
  add("line", { x1: 4, x2: 84, y1: 7, y2: 7, class: "ib-axis" });
  add("line", { x1: at(0), x2: at(0), y1: 2, y2: 12, class: "ib-zero" });
  if (low !== null && high !== null) add("line", { x1: at(low), x2: at(high), y1: 7, y2: 7, class: "ib-bar" });
  add("circle", { cx: at(value), cy: 7, r: 3.4, class: "ib-dot" });
  return svg;
};

function board(place) {
  const { columns, rows, first, axis } = JSON.parse(place.querySelector("script").textContent);
  const table = place.querySelector("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const at = Object.fromEntries(columns.map(([key], i) => [key, HEAD + i]));
  const [input, role] = [place.querySelector("input"), place.querySelector("select")];
  const [count, pager] = [place.querySelector("output"), place.querySelector(".pager")];
  const hidden = new Set();
  let texts = null;
  let found = rows.map((_, i) => i);
  let order = { column: 0, sign: 1 };
  let page = 0;

  const cell = (row, i) => {
    const [key, , kind] = columns[i];
    const value = row[HEAD + i];
    const td = make("td", { className: key });
    if (key === "rank") {
      if (value === null) return td.append(UNKNOWN), td;
      td.append(make("b", {}, String(value)));
      td.append(make("small", {}, row[LOW] === row[HIGH] ? String(row[LOW]) : `${row[LOW]}–${row[HIGH]}`));
    } else if (key === "model") {
      td.append(make("a", { href: row[PAGE] }, value));
      const mark = row[REFERENCE] ? [make("span", { className: "badge" }, "reference"), " "] : [];
      td.append(make("small", {}, ...mark, row[ARCHITECTURE]));
    } else if (key === "status") {
      td.append(value);
      if (row[NOTE]) td.append(make("small", {}, row[NOTE]));
    } else if (key === "size") {
      td.append(value === null ? UNKNOWN : compact(value));
    } else if (kind === "text" || kind === "count") {
      td.append(value === null ? UNKNOWN : String(value));
    } else {
      const [x, low, high, n] = value === null ? [null, null, null, 0] : value;
      td.append(x === null ? UNKNOWN : tenths(x, kind === "difference"));
      td.title = told(x, low, high, n, kind);
      if (key === "lift" && x !== null) {
        const small = make("small", {}, interval(low, high, kind).replace(unit(kind), ""), " ", make("span", {}, `n ${thousands(n)}`));
        td.append(bar(x, low, high, axis), small);
      }
    }
    return td;
  };

  const show = () => {
    const shown = columns.map((_, i) => i).filter((i) => !hidden.has(i));
    heads.forEach((head, i) => (head.hidden = hidden.has(i)));
    const lines = [];
    const part = found.slice(page * first, (page + 1) * first);
    let divided = page > 0 && rows[found[page * first - 1]]?.[at.rank] === null;
    for (const index of part) {
      const row = rows[index];
      if (row[at.rank] === null && !divided) {
        lines.push(make("tr", { className: "divider" }, make("td", { colSpan: shown.length }, "Not ranked")));
        divided = true;
      }
      const line = make("tr", { className: row[TIE] === null ? "" : row[TIE] % 2 ? "odd" : "even" });
      line.append(...shown.map((i) => cell(row, i)));
      lines.push(line);
    }
    body.replaceChildren(...lines);
    const pages = Math.max(1, Math.ceil(found.length / first));
    pager.hidden = pages === 1;
    pager.querySelector("span").textContent = found.length
      ? `${thousands(page * first + 1)} to ${thousands(page * first + part.length)} of ${thousands(found.length)}`
      : "";
    const [back, on] = pager.querySelectorAll("button");
    [back.disabled, on.disabled] = [page === 0, page >= pages - 1];
  };

  const say = () => {
    const by = order.column ? `, by ${columns[order.column][1].toLowerCase()}` : "";
    count.textContent = `${thousands(found.length)} of ${thousands(rows.length)} models${by}`;
  };

  // Ranked entries first, whatever the column; what is unknown comes last either way.
  const unranked = rows.map((row) => (row[at.rank] === null ? 1 : 0));
  const known = new Map();
  const keysOf = (column) => {
    const plain = (value) => (Array.isArray(value) ? value[0] : value);
    const text = columns[column][2] === "text";
    return rows.map((row) => {
      const value = row[HEAD + column];
      return text ? String(value ?? "").toLowerCase() : plain(value);
    });
  };
  const sort = () => {
    if (!known.has(order.column)) known.set(order.column, keysOf(order.column));
    const keys = known.get(order.column);
    found.sort((a, b) => {
      if (unranked[a] !== unranked[b]) return unranked[a] - unranked[b];
      const [x, y] = [keys[a], keys[b]];
      if (x === y) return a - b;
      if (x === null || x === "") return 1;
      if (y === null || y === "") return -1;
      return (x < y ? -1 : 1) * order.sign;
    });
  };

  const filter = () => {
    texts ??= rows.map((row) => {
      const said = [row[at.model], row[ARCHITECTURE], row[at.licence], row[at.revision], row[at.status]];
      return [...said, row[REFERENCE] ? "reference" : "candidate"].join(" ").toLowerCase();
    });
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = {
      "": () => true,
      reference: (row) => row[REFERENCE],
      candidate: (row) => !row[REFERENCE],
      ranked: (row) => row[at.rank] !== null,
      unranked: (row) => row[at.rank] === null,
    }[role.value];
    found = [];
    rows.forEach((row, i) => {
      if (wanted(row) && words.every((word) => texts[i].includes(word))) found.push(i);
    });
    page = 0;
    sort();
    show();
    say();
  };

  heads.forEach((head, i) => {
    head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const down = now ? now === "ascending" : columns[i][2] === "rate" || columns[i][2] === "difference";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      order = { column: i, sign: down ? -1 : 1 };
      page = 0;
      sort();
      show();
      say();
    });
  });
  input.addEventListener("input", filter);
  role.addEventListener("change", filter);
  for (const button of pager.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      page += Number(button.dataset.step);
      show();
      table.parentElement.scrollTop = 0;
    });
  }
  const chooser = place.querySelector(".chooser > div");
  columns.forEach(([key, header], i) => {
    if (key === "rank" || key === "model") return;
    const box = make("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(i);
      else hidden.add(i);
      show();
    });
    chooser.append(make("label", {}, box, " ", header));
  });
  place.querySelector(".filter").hidden = false;
  show();
  say();
}

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

function matrix(place) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const [switches, readout, area] = [".switches", ".readout", ".grid"].map((name) => place.querySelector(name));
  const { rows, columns, measures, families, shared } = data;
  const short = (name) => name.slice(shared.length);
  const large = rows.length * columns.length <= 240;
  const state = { measure: 0, family: 0 };
  const at = (r, c) => families[state.family].cells[r * columns.length + c];
  const number = (cell) => cell && cell.slice(2 + 3 * state.measure, 5 + 3 * state.measure);

  const sentence = (r, c) => {
    const cell = at(r, c);
    const { header, kind } = measures[state.measure];
    const pair = `signals of ${rows[r][0]}, judged by ${columns[c][0]}`;
    if (!cell) return `${pair}: not evaluated`;
    const own = cell[0] ? "; the model’s own signals, in no mean" : "";
    return `${pair}: ${header.toLowerCase()} ${told(...number(cell), cell[1], kind)}${own}`;
  };
  const paint = (td, r, c) => {
    const cell = at(r, c);
    const { kind } = measures[state.measure];
    const value = cell ? number(cell)[0] : null;
    td.className = cell && cell[0] ? "own" : value === null ? "none" : "";
    td.style.background = td.style.color = "";
    if (value !== null && !td.className) {
      const share = kind === "difference" ? (value / 1000 + 1) / 2 : value / 1000;
      const rgb = mix(kind === "difference" ? data.differences : data.rates, share);
      td.style.background = `rgb(${rgb})`;
      td.style.color = isLight(rgb) ? "#000" : "#fff";
    }
    const signed = kind === "difference";
    const text = value === null ? UNKNOWN : large ? tenths(value, signed) : tenths(Math.round(value / 10) * 10, signed).slice(0, -2);
    td.firstChild.textContent = text;
    td.firstChild.setAttribute("aria-label", sentence(r, c));
  };

  const table = make("table", { role: "grid", "aria-label": "Who accepts whose signals" });
  table.classList.toggle("small", !large);
  const head = make("tr", {}, make("th", { className: "corner", scope: "col" }));
  if (shared) head.firstChild.append(make("small", {}, `${shared}…`));
  head.firstChild.append("signals of ↓ judged by →");
  columns.forEach(([name, href], c) => {
    const label = href ? make("a", { href, tabIndex: -1 }, short(name)) : make("span", {}, short(name));
    head.append(make("th", { scope: "col", title: name, className: c === data.n_references ? "apart" : "" }, label));
  });
  table.append(make("thead", {}, head));
  const body = make("tbody");
  const cells = rows.map(([name, anchor], r) => {
    const line = make("tr", {}, make("th", { scope: "row", title: name }, short(name)));
    const made = columns.map(([, href], c) => {
      const inside = href ? make("a", { href: `${href}#${anchor}` }) : make("span");
      inside.append("");
      inside.tabIndex = -1;
      [inside.dataset.r, inside.dataset.c] = [r, c];
      const td = make("td", {}, inside);
      if (c === data.n_references) td.classList.add("apart");
      line.append(td);
      return td;
    });
    body.append(line);
    return made;
  });
  table.append(body);
  const draw = () => cells.forEach((line, r) => line.forEach((td, c) => {
    paint(td, r, c);
    td.classList.toggle("apart", c === data.n_references && c > 0);
  }));

  // One stop for the Tab key; arrows move within.
  let [row, column] = [0, 0];
  const stop = (r, c) => {
    cells[row][column].firstChild.tabIndex = -1;
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

  const choice = (label, names, key) => {
    const group = make("div", { className: "switch", role: "group", "aria-label": label });
    const buttons = names.map((name, i) => {
      const button = make("button", { type: "button", "aria-pressed": String(i === 0) }, name);
      button.addEventListener("click", () => {
        state[key] = i;
        buttons.forEach((other, j) => other.setAttribute("aria-pressed", String(i === j)));
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
    const { kind } = measures[state.measure];
    const stops = kind === "difference" ? data.differences : data.rates;
    const ends = kind === "difference" ? ["−100", "+100 pp"] : ["0", "100 %"];
    const ramp = make("i");
    ramp.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
    legend.replaceChildren(ends[0], ramp, ends[1]);
  };
  choice("Measure", measures.map((m) => m.header), "measure");
  choice("Family of signals", families.map((f) => f.family), "family");
  switches.append(legend);
  draw();
  scale();
  stop(0, 0);
  area.append(table);
  place.hidden = false;
}

for (const place of document.querySelectorAll("[data-board]")) board(place);
for (const place of document.querySelectorAll("[data-matrix]")) matrix(place);
