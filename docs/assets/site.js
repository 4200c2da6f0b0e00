// A table that is wider than its page scrolls; the keyboard must reach it to scroll it.
const reachable = () => {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap, .output")) {
    if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0;
    else wrap.removeAttribute("tabindex");
  }
};
document$.subscribe(reachable);
addEventListener("resize", reachable);
