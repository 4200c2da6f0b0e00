// Where a table is wider than the screen, a line above it says so: on a phone nothing else shows it.
for (const area of document.querySelectorAll(".scroll:not(.figure)")) {
  const hint = document.createElement("p");
  Object.assign(hint, { className: "hint", hidden: true, textContent: "Scroll sideways to see all columns →" });
  area.before(hint);
  const watch = new ResizeObserver(() => (hint.hidden = area.scrollWidth <= area.clientWidth + 8));
  for (const element of [area, ...area.children]) watch.observe(element);
}
