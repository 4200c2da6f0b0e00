// Light or dark as the system has it, until the reader says otherwise; kept in this browser alone.
{
  const KEY = "goodenough-scheme";
  const root = document.documentElement;
  const button = document.querySelector("button.scheme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = (act) => {
    try {
      return act(localStorage);
    } catch {
      return null; // nothing is kept where a page may keep nothing
    }
  };
  const dark = () => (root.dataset.scheme ? root.dataset.scheme === "dark" : system.matches);
  const show = () => (button.textContent = dark() ? "Light" : "Dark");
  const before = kept((store) => store.getItem(KEY));
  if (before === "light" || before === "dark") root.dataset.scheme = before;
  button.addEventListener("click", () => {
    const now = dark() ? "light" : "dark";
    if ((now === "dark") === system.matches) delete root.dataset.scheme;
    else root.dataset.scheme = now;
    kept((store) => (root.dataset.scheme ? store.setItem(KEY, now) : store.removeItem(KEY)));
    show();
  });
  system.addEventListener("change", show);
  show();
  button.hidden = false;
}
