// Tables of class "sortable" get a button in every head that has numbers or names below it.
"use strict";

(() => {
  const value = (cell) => {
    const text = cell ? cell.textContent.trim() : "";
    if (text.startsWith("∞")) return Infinity;
    const number = parseFloat(text.replace("−", "-"));
    return Number.isNaN(number) ? null : number;
  };
  const compare = (column, numeric, sign) => (a, b) => {
    const [x, y] = [a, b].map((row) => row.cells[column]);
    if (!numeric) return sign * (x ? x.textContent : "").localeCompare(y ? y.textContent : "", "en", { numeric: true });
    const [p, q] = [value(x), value(y)];
    if (p === null || q === null) return (p === null) - (q === null); // without a number: last either way
    return p === q ? 0 : sign * (p < q ? -1 : 1);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    if (body.rows.length < 2) continue;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("num");
        const before = head.getAttribute("aria-sort");
        const down = before ? before === "ascending" : numeric;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort(compare(column, numeric, down ? -1 : 1));
        body.append(...rows);
      });
    });
  }

  // The address of a run opens its parts of the page.
  const open = () => {
    const target = by([...addressed().keys()][0]);
    const details = target && target.closest("details");
    if (details) details.open = true;
  };
  window.addEventListener("hashchange", open);
  open();
})();
