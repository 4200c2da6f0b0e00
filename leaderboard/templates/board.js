// The table of a ranking: sorted, filtered, paged, compared and saved in the reader's browser.
const HEAD = 13; // what `rankings.table_data` says of a row before its columns
const [PAGE, REFERENCE, LOW, HIGH, TIE, NOTE, ARCHITECTURE, HUB, MARK, PANEL_LOW, PANEL_HIGH, REMARK, EXPLAINED] = [...Array(HEAD).keys()];
const SIZES = [["1 M", 1e6], ["10 M", 1e7], ["100 M", 1e8], ["1 G", 1e9]];
const NOT_STATED = "not stated";
const MENU = 40; // values of a menu, the most frequent ones; the others are found by name

const ROLES = {
  reference: (row) => row[REFERENCE],
  candidate: (row) => !row[REFERENCE],
  ranked: (row, rank) => row[rank] !== null,
  unranked: (row, rank) => row[rank] === null,
};

const span = (low, high) => (low === high ? String(low) : `${low}–${high}`);
const places = (row) => span(row[LOW], row[HIGH]);

function board(place, main) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const { columns, rows, first, by, axis, families, anchors } = data;
  const table = place.querySelector("table.board");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const at = Object.fromEntries(columns.map(([key], i) => [key, HEAD + i]));
  const [input, tools, help] = ["input", ".tools", ".help"].map((name) => place.querySelector(name));
  const [count, pager] = [place.querySelector("output"), place.querySelector(".pager")];
  const recall = (key) => (main && chosen.get(key)) || "";
  const keep = (key, value) => main && remember(key, value);

  // Rates are those of the headline family until the other one is asked for; places are never its own.
  let family = Math.max(0, families.findIndex(({ family }) => family === recall("family")));
  const valueOf = (index, i) => {
    const other = family ? families[family].at.indexOf(columns[i][0]) : -1;
    return other < 0 ? rows[index][HEAD + i] : families[family].rows[index][other];
  };

  const narrow = matchMedia("(max-width: 100rem)").matches;
  const atFirst = columns.filter(([, , , shy]) => !(shy === 2 || (shy === 1 && narrow))).map(([key]) => key);
  const asked = recall("columns").split(".").filter((key) => Object.hasOwn(at, key));
  const shownKeys = new Set(asked.length || recall("columns") === "none" ? ["rank", "model", ...asked] : atFirst);

  const wanted = recall("sort").match(/^(-?)(\w+)$/);
  let order = wanted && Object.hasOwn(at, wanted[2])
    ? { column: at[wanted[2]] - HEAD, sign: wanted[1] ? -1 : 1 }
    : { column: at[by] - HEAD, sign: 1 };
  let page = Math.max(0, Math.trunc(Number(recall("page")) || 1) - 1);
  let texts = null;
  let found = rows.map((_, i) => i);
  const picked = new Set(rows.flatMap((row, i) => (recall("with").split(" ").includes(fileOf(row)) ? [i] : [])).slice(0, MOST));

  const cell = (index, i) => {
    const row = rows[index];
    const [key, , kind] = columns[i];
    const value = valueOf(index, i);
    const td = make("td", { className: key });
    if (key === "rank") {
      if (value === null) td.append(UNKNOWN);
      else {
        td.append(make("b", {}, String(value)), make("small", {}, places(row)));
        td.title = `95${THIN}% interval of the place: ${row[LOW]} to ${row[HIGH]}`;
        if (row[PANEL_LOW] !== null) {
          td.append(make("small", {}, `(${span(row[PANEL_LOW], row[PANEL_HIGH])})`));
          td.title += `; without any one reference: ${row[PANEL_LOW]} to ${row[PANEL_HIGH]}`;
        }
      }
    } else if (key === "model") {
      const small = make("small");
      if (row[REFERENCE]) small.append(make("span", { className: "badge" }, "reference"), " ");
      if (at.kind && row[at.kind] !== "head") small.append(make("span", { className: "badge" }, row[at.kind]), " ");
      if (row[MARK]) small.append(make("span", { className: "badge flag", title: row[MARK][1] }, row[MARK][0]), " ");
      small.append(row[ARCHITECTURE]);
      if (row[HUB]) {
        const hub = { href: `https://huggingface.co/${value}`, target: "_top", rel: "noopener noreferrer" };
        small.append(" · ", make("a", { ...hub, "aria-label": `${value} on the Hub` }, "Hub"));
      }
      if (pick) small.append(" · ", pick(index));
      td.append(make("a", { href: row[PAGE] }, value), small);
      if (row[REMARK]) td.append(make("small", { title: row[EXPLAINED] }, row[REMARK]));
    } else if (key === "status") {
      td.append(value);
      if (row[NOTE]) td.append(make("small", {}, row[NOTE]));
    } else if (key === "parameters") {
      td.append(value === null ? UNKNOWN : compact(value));
    } else if (kind === "text" || kind === "count") {
      td.append(value === null ? UNKNOWN : String(value));
    } else number(td, key, kind, value);
    return td;
  };

  const number = (td, key, kind, value) => {
    const [x, low, high, n] = value ?? [null, null, null, 0];
    td.append(x === null ? UNKNOWN : tenths(x, kind === "difference"));
    td.title = told(x, low, high, n, kind);
    if (key === "lift" && x !== null) {
      const small = make("small", {}, interval(low, high, kind).replace(unit(kind), ""), " ", make("span", {}, `n ${thousands(n)}`));
      td.append(bar(x, low, high, axis), small);
    }
  };

  // What the rows are read against: below every page of them, in no order, and of the headline family alone.
  const comparisons = (shown) => [
    make("tr", { className: "divider" }, make("td", { colSpan: shown.length }, "For comparison, not ranked")),
    ...anchors.map(([name, meaning, ...values]) => make("tr", { className: "anchor" }, ...shown.map((i) => {
      const [key, , kind] = columns[i];
      const td = make("td", { className: key });
      if (key === "model") [td.textContent, td.title] = [name, meaning];
      else if (values[i] === null) td.append(UNKNOWN);
      else number(td, key, kind, values[i]);
      return td;
    }))),
  ];

  const show = () => {
    const shown = columns.map((_, i) => i).filter((i) => shownKeys.has(columns[i][0]));
    heads.forEach((head, i) => (head.hidden = !shownKeys.has(columns[i][0])));
    const pages = Math.max(1, Math.ceil(found.length / first));
    page = Math.min(page, pages - 1);
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
      line.append(...shown.map((i) => cell(index, i)));
      lines.push(line);
    }
    if (anchors.length && !family) lines.push(...comparisons(shown));
    body.replaceChildren(...lines);
    pager.hidden = pages === 1;
    pager.querySelector("span").textContent = found.length
      ? `${thousands(page * first + 1)} to ${thousands(page * first + part.length)} of ${thousands(found.length)}`
      : "";
    const [back, on] = pager.querySelectorAll("button");
    [back.disabled, on.disabled] = [page === 0, page >= pages - 1];
    keep("page", page ? String(page + 1) : "");
  };

  const what = Object.hasOwn(at, "task") ? "entries" : "models";
  const say = () => {
    const sorted = columns[order.column][0] === by ? "" : `, by ${columns[order.column][1].toLowerCase()}`;
    const rates = family ? `; rates of family ${families[family].family}, places of family ${families[0].family}` : "";
    count.textContent = `${thousands(found.length)} of ${thousands(rows.length)} ${what}${sorted}${rates}`;
  };

  // Ranked entries first, whatever the column; what is unknown comes last either way.
  const unranked = rows.map((row) => (row[at.rank] === null ? 1 : 0));
  const known = new Map();
  const keysOf = (column) => {
    const plain = (value) => (Array.isArray(value) ? value[0] : value);
    const text = columns[column][2] === "text";
    return rows.map((_, index) => {
      const value = valueOf(index, column);
      return text ? String(value ?? "").toLowerCase() : plain(value);
    });
  };
  const sort = () => {
    const { column, sign } = order;
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    if (!known.has(column)) known.set(column, keysOf(column));
    const keys = known.get(column);
    found.sort((a, b) => {
      if (unranked[a] !== unranked[b]) return unranked[a] - unranked[b];
      const [x, y] = [keys[a], keys[b]];
      if (x === y) return a - b;
      if (x === null || x === "") return 1;
      if (y === null || y === "") return -1;
      return (x < y ? -1 : 1) * sign;
    });
    keep("sort", columns[column][0] !== by || sign < 0 ? `${sign < 0 ? "-" : ""}${columns[column][0]}` : "");
  };

  // Menus of what there is; one that would leave no choice is not there.
  const menus = {};
  const menu = (key, label, options, fits) => {
    if (options.length < 2 && key !== "show") return keep(key, "");
    const select = make("select", { id: `${key}-${table.id}` }, make("option", { value: "" }, key === "show" ? "all models" : "any"));
    for (const [value, name] of options) select.append(make("option", { value }, name));
    if (options.some(([value]) => value === recall(key))) select.value = recall(key);
    select.addEventListener("change", () => filter(true));
    menus[key] = { select, fits };
    count.before(make("span", { className: "choice" }, make("label", { htmlFor: select.id }, label), " ", select));
  };
  const frequent = (values) => {
    const n = new Map();
    for (const value of values) n.set(value, (n.get(value) ?? 0) + 1);
    const most = [...n].sort(([, a], [, b]) => b - a).slice(0, MENU).map(([value]) => value);
    return most.sort().map((value) => [value, value]);
  };
  const stated = (row) => row[at.licence] ?? NOT_STATED;

  const filter = (afresh) => {
    texts ??= rows.map((row) => {
      const said = [row[at.model], row[ARCHITECTURE], row[at.licence], row[at.revision], row[at.status], row[at.task], row[at.trained_on], row[at.kind]];
      return [...said, row[REFERENCE] ? "reference" : "candidate"].join(" ").toLowerCase();
    });
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const asked = Object.values(menus).filter(({ select }) => select.value);
    found = [];
    rows.forEach((row, i) => {
      const fits = asked.every(({ select, fits }) => fits(row, select.value));
      if (fits && words.every((word) => texts[i].includes(word))) found.push(i);
    });
    keep("q", input.value.trim());
    for (const [key, { select }] of Object.entries(menus)) keep(key, select.value);
    if (afresh) page = 0;
    sort();
    show();
    say();
  };

  heads.forEach((head, i) => {
    const button = head.querySelector("button");
    // A title is for who can point; the same line is for keys, and for fingers, whose tap is not always a focus.
    const explain = () => (help.textContent = `${columns[i][1]}: ${button.title}`);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const down = now ? now === "ascending" : columns[i][2] === "rate" || columns[i][2] === "difference";
      explain();
      order = { column: i, sign: down ? -1 : 1 };
      page = 0;
      sort();
      show();
      say();
    });
    button.addEventListener("focus", explain);
    button.addEventListener("blur", () => (help.textContent = ""));
  });
  input.value = recall("q");
  input.addEventListener("input", () => filter(true));
  for (const button of pager.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      page += Number(button.dataset.step);
      show();
      table.parentElement.scrollTop = 0;
    });
  }

  const roles = [["candidate", "candidates"], ["reference", "references"], ["ranked", "ranked"], ["unranked", "not ranked"]];
  menu("show", "Show", roles, (row, value) => ROLES[value](row, at.rank));
  if (at.task) menu("task", "Task", frequent(rows.map((row) => row[at.task])), (row, value) => row[at.task] === value);
  const owner = (row) => row[at.model].split("/")[0];
  menu("organisation", "Organisation", frequent(rows.map(owner)), (row, value) => owner(row) === value);
  if (at.kind) menu("kind", "Kind", frequent(rows.map((row) => row[at.kind])), (row, value) => row[at.kind] === value);
  menu("architecture", "Architecture", frequent(rows.map((row) => row[ARCHITECTURE])), (row, value) => row[ARCHITECTURE] === value);
  menu("licence", "Licence", frequent(rows.map(stated)), (row, value) => stated(row) === value);
  const sizes = SIZES.filter(([, most]) => rows.some((row) => row[at.parameters] > most) && rows.some((row) => row[at.parameters] <= most));
  menu("size", "Size", sizes.length ? [...sizes.map(([name, most]) => [String(most), `at most ${name}`]), [`-${sizes.at(-1)[1]}`, `over ${sizes.at(-1)[0]}`]] : [], (row, value) => {
    const most = Number(value);
    return row[at.parameters] !== null && (most < 0 ? row[at.parameters] > -most : row[at.parameters] <= most);
  });

  const keepColumns = () => {
    const now = columns.map(([key]) => key).filter((key) => shownKeys.has(key));
    keep("columns", String(now) === String(atFirst) ? "" : now.slice(2).join(".") || "none");
  };
  const chooser = place.querySelector(".chooser > div");
  columns.forEach(([key, header]) => {
    if (key === "rank" || key === "model") return;
    const box = make("input", { type: "checkbox", checked: shownKeys.has(key) });
    box.addEventListener("change", () => {
      if (box.checked) shownKeys.add(key);
      else shownKeys.delete(key);
      keepColumns();
      show();
    });
    chooser.append(make("label", {}, box, " ", header));
  });

  const tool = (name, act) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => act(button));
    tools.append(button);
    return button;
  };
  if (main && navigator.clipboard) {
    tool("Copy link", async (button) => {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy link"), 1500);
    });
  }
  tool("CSV of this view", () => {
    const shown = columns.map((_, i) => i).filter((i) => shownKeys.has(columns[i][0]));
    const name = family ? families[family].family : "";
    const lines = found.map((index) => [rows[index], shown.map((i) => valueOf(index, i))]);
    saved(`${table.id}${name && `-${name}`}.csv`, sheet(columns, shown, lines, name));
  });
  if (families.length > 1) {
    const group = make("div", { className: "switch", role: "group", "aria-label": "Family of signals whose rates are shown" });
    families.forEach(({ family: name }, i) => {
      const button = make("button", { type: "button", "aria-pressed": String(i === family) }, name);
      button.addEventListener("click", () => {
        family = i;
        [...group.children].forEach((other, j) => other.setAttribute("aria-pressed", String(i === j)));
        keep("family", i ? name : "");
        known.clear();
        sort();
        show();
        say();
        compare();
      });
      group.append(button);
    });
    tools.prepend(group);
  }

  const panel = place.querySelector(".comparison");
  const compare = () => {
    if (!panel) return;
    keep("with", [...picked].map((index) => fileOf(rows[index])).join(" "));
    comparison(panel, [...picked].map((index) => ({
      index,
      row: rows[index],
      name: rows[index][at.model],
      rank: rows[index][at.rank],
      values: columns.flatMap(([, header, kind], i) => (kind === "rate" || kind === "difference" ? [{ header, kind, value: valueOf(index, i) }] : [])),
    })), axis, family, (index) => {
      picked.delete(index);
      compare();
      show();
    });
  };
  const pick = panel && ((index) => {
    const on = picked.has(index);
    const button = make("button", { type: "button", className: "pick", "aria-pressed": String(on), "aria-label": `Compare ${rows[index][at.model]}` }, on ? "compared" : "compare");
    button.disabled = !on && picked.size >= MOST;
    button.addEventListener("click", () => {
      if (!picked.delete(index)) picked.add(index);
      compare();
      show();
      [...body.querySelectorAll(".pick")].find((other) => other.getAttribute("aria-label") === button.getAttribute("aria-label"))?.focus();
    });
    return button;
  });

  for (const hidden of place.querySelectorAll(".filter, .tools")) hidden.hidden = false;
  filter(false);
  compare();
  // What was asked for and is not there is in no link either.
  keepColumns();
  keep("family", family ? families[family].family : "");
}

// A sheet of numbers as fractions, each with its interval and n; no cell of it is a formula. Rates that are
// not of the headline family are followed by the name of theirs; places never are of another.
const sheet = (columns, shown, lines, family = "") => {
  const quoted = (value) => {
    const text = value === null ? "" : String(value);
    const calm = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(calm) ? `"${calm.replaceAll('"', '""')}"` : calm;
  };
  const wide = (kind) => kind === "rate" || kind === "difference";
  const head = shown.flatMap((i) => {
    const [key, , kind] = columns[i];
    if (key === "rank") return ["rank", "rank_low", "rank_high", "panel_low", "panel_high"];
    return wide(kind) ? [key, `${key}_low`, `${key}_high`, `${key}_n`] : [key];
  });
  const fraction = (x) => (x === null ? null : x / 1000);
  if (family) head.push("family");
  const made = lines.map(([row, values]) => [...shown.flatMap((i, j) => {
    const [key, , kind] = columns[i];
    if (key === "rank") return [values[j], row[LOW], row[HIGH], row[PANEL_LOW] ?? null, row[PANEL_HIGH] ?? null];
    if (!wide(kind)) return [values[j]];
    const [x, low, high, n] = values[j] ?? [null, null, null, 0];
    return [fraction(x), fraction(low), fraction(high), n];
  }), ...(family ? [family] : [])]);
  return [head, ...made].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
};

const saved = (name, text) => {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
};
