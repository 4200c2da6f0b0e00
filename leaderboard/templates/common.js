"use strict";
// What tables and heat maps share. Data comes from the page's own JSON; all of it is text, never markup.
const SVG = "http://www.w3.org/2000/svg";
const UNKNOWN = "–";
const THIN = "\u202f";

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
  if (value === null) return kind === "difference" ? "unknown: fewer than 20 signals" : "nothing to count (n = 0)";
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

// What the reader chose stands in the address, where it differs from the beginning: a link shows it again.
const chosen = new URLSearchParams(location.search);
const remember = (key, value) => {
  if (value ? chosen.get(key) === value : !chosen.has(key)) return;
  if (value) chosen.set(key, value);
  else chosen.delete(key);
  const query = String(chosen);
  try {
    history.replaceState(null, "", location.pathname + (query && `?${query}`) + location.hash);
  } catch { /* where a page may not change its address, it has none to share */ }
};
