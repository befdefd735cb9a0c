"use strict";
// The table holds a hundred rows at a time: the rest wait outside of the document.
(() => {
  const STEP = 100;
  const table = document.getElementById("list");
  const body = table.tBodies[0];
  // Texts that look alike are alike: accents of either normal form, apostrophes of either kind.
  const folded = (text) => text.normalize("NFKC").toLowerCase().replace(/[‘’]/g, "'");
  const items = [...body.rows].map((row, order) => ({
    row,
    order,
    text: folded(row.cells[0].textContent),
    values: [...row.cells].map((cell) => cell.textContent),
    outcome: row.dataset.outcome || "",
    error: "error" in row.dataset,
  }));
  const [search, outlet, outcome, errors, status, more] = ["search", "outlet", "outcome", "errors", "status", "more"]
    .map((id) => document.getElementById(id));
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  let sorted = items;
  let found = items;
  let limit = STEP;

  const draw = () => {
    body.replaceChildren(...found.slice(0, limit).map((item) => item.row));
    const count = (number) => number.toLocaleString("en");
    const all = found.length === items.length ? "" : ` (of ${count(items.length)})`;
    const part = found.length > limit ? `, the first ${count(limit)} shown` : "";
    status.textContent = `${count(found.length)} article${found.length === 1 ? "" : "s"}${all}${part}`;
    more.parentElement.hidden = found.length <= limit;
  };
  const filter = () => {
    const words = folded(search.value).split(/\s+/).filter(Boolean);
    found = sorted.filter((item) =>
      words.every((word) => item.text.includes(word)) &&
      (!outlet || !outlet.value || item.values[1] === outlet.value) &&
      (!outcome || !outcome.value || item.outcome === outcome.value) &&
      (!errors || !errors.checked || item.error));
    limit = STEP;
    draw();
  };
  const sort = (button) => {
    const head = button.closest("th");
    const column = Number(button.dataset.column);
    const number = button.dataset.kind === "number";
    const first = number ? "descending" : "ascending";
    const other = number ? "ascending" : "descending";
    const direction = head.getAttribute("aria-sort") === first ? other : first;
    for (const th of head.parentElement.cells) th.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const compare = number ? (a, b) => a - b : collator.compare;
    // Rows without a value come last in both directions.
    sorted = [...items].sort((a, b) => {
      const [x, y] = [a.values[column], b.values[column]];
      if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1) || a.order - b.order;
      return sign * compare(x, y) || a.order - b.order;
    });
    filter();
  };
  const tools = document.getElementById("tools");
  tools.hidden = false;
  tools.addEventListener("submit", (event) => event.preventDefault());
  for (const control of [search, outlet, outcome, errors])
    if (control) control.addEventListener("input", filter);
  for (const button of table.tHead.querySelectorAll("button"))
    button.addEventListener("click", () => sort(button));
  more.addEventListener("click", () => {
    const next = limit;
    limit += STEP;
    draw();
    body.rows[next].querySelector("a").focus();
  });
  filter();
})();
