/* Decides which rows and columns of a table of the first page are shown, in which order, and which numbers are marked.
 * table: one of the block "grids" (leaderboard/pages/index.py), which holds the facts to filter, sort and mark rows by;
 * the page holds everything that is shown. */
"use strict";

const plainText = (text) => text.normalize("NFKD").toLowerCase();
const choose = (parts, places) => parts.forEach((part, n) => { part.hidden = !places.includes(n); });

/** Makes the heads of a table sort, and finds the parts of its rows. fields: keys of the columns before those of data
 * sets; sorted: called with a sorter when its head is pressed. */
function prepareTable(table, fields, sorted) {
  const element = by(`table-${table.key}`);
  const heads = [...element.tHead.rows[0].cells];
  const first = 1 + fields.length;
  const sorter = (head, name, facts, of = "") => {
    const button = by("sorter").content.firstElementChild.cloneNode(true);
    const made = { head, button, best: false, ...facts };
    button.children[0].textContent = name.textContent;
    button.children[1].textContent = of;
    name.replaceWith(button);
    button.addEventListener("click", () => sorted(made));
    table.sorters.push(made);
  };
  Object.assign(table, { heads, first, bodies: [...element.tBodies], sorters: [] });
  table.groups = table.bodies.map((body) => body.rows[0]);
  ["method", ...fields].forEach((key, n) => {
    sorter(heads[n], heads[n].firstChild, { key, label: heads[n].textContent.toLowerCase(), field: n - 1 });
  });
  heads.slice(first).forEach((head, s) => head.querySelectorAll(".metrics > span").forEach((part, m) => {
    const [set, metric] = [table.sets[s], table.metrics[m]];
    const facts = { key: `${set.key},${metric.key}`, label: `${set.label} ${metric.title}`, s, m, best: !metric.lower };
    sorter(head, part.lastChild, facts, ` of ${set.title}`);
  }));
  const lines = table.bodies.flatMap((body) => [...body.rows].slice(1));
  table.rows.forEach((row, n) => {
    const cells = [...lines[n].cells];
    const words = [...cells[0].children].map((part) => part.textContent);
    Object.assign(row, { n, line: lines[n], body: lines[n].parentNode, places: cells, method: plainText(words[0]) });
    row.weights = plainText(cells[first - 1].textContent);
    row.text = plainText([row.group, row.weights, ...words].join(" "));
    row.results = row.cells.map((cell, s) => cell && {
      values: cell[0], ranks: cell[1], parts: [...cells[first + s].childNodes], ranked: !cells[first + s].matches(".unranked"),
      numbers: [...cells[first + s].querySelectorAll(":scope > span, :scope > a > span")],
    });
  });
}

/** Returns the mark of a rank among those of the rows shown: numbers that print alike share a rank, and a mark needs as
 * many numbers as its template says (leaderboard/tables/best_values.py). */
function markOf(rank, ranks) {
  const name = rank && ["best", "second"][ranks.filter((other) => other < rank).length];
  return name && ranks.length >= Number(by(name).dataset.fewest) ? name : "";
}

/** Returns the rows that match the filters, in order, each with its counting cells and marks by data set. */
function rowsOf(table, asked) {
  const words = plainText(asked.search).split(/\s+/);
  const found = table.rows.filter((row) => {
    row.counted = row.results.map((result) => (result && (result.ranked || !asked.complete) ? result : null));
    return words.every((word) => row.text.includes(word)) && (!asked.group || row.group === asked.group)
      && (!asked.gan || row.gan === (asked.gan === "yes")) && (!asked.references || row.references === asked.references)
      && (!asked.from || (row.year !== null && row.year >= Number(asked.from)))
      && (!asked.to || (row.year !== null && row.year <= Number(asked.to)))
      && (!asked.verified || row.verified) && asked.sets.some((s) => row.counted[s]);
  });
  const ranks = table.sets.map((_, s) => table.metrics.map((_, m) => found.map((row) => row.counted[s]?.ranks[m]).filter(Boolean)));
  for (const row of found) {
    row.marks = row.counted.map((result, s) => result && result.ranks.map((rank, m) => markOf(rank, ranks[s][m])));
  }
  return asked.sort ? sortedRows(found, asked.sort, asked.down) : found;
}

/** Sorts ranked results first and those without a number last; equal rows keep their order. */
function sortedRows(rows, { key, s, m }, down) {
  const place = (row) => {
    const result = s === undefined ? { values: [row[key]], ranked: true } : row.counted[s];
    const value = result && result.values[m || 0];
    return [null, "", "-", "unknown"].includes(value) ? [2, 0] : [result.ranked ? 0 : 1, value === "inf" ? Infinity : value];
  };
  const compare = ([a, x], [b, y]) => a - b || (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
  return rows.map((row) => [place(row), row]).sort(([a], [b]) => compare(a, b)).map(([, row]) => row);
}

function mark(number, name) {
  const before = number.querySelector("b, mark");
  if ((before?.className || "") === name) return;
  const text = (before || number.lastChild).textContent;
  const made = name ? by(name).content.cloneNode(true) : text;
  if (name) made.firstChild.textContent = text;
  number.replaceChildren(...number.querySelectorAll("i"), made);
}

function showRow({ line, places, results, counted, marks }, view, columns, first) {
  line.querySelector("small > i").hidden = !view.sort; // the group, which has no head in a sorted table
  choose(places, columns);
  results.forEach((result, s) => {
    const place = places[first + s];
    if (result) place.replaceChildren(...(counted[s] ? result.parts : [by("missing").content.textContent]));
    if (!counted[s]) return;
    choose(result.numbers, view.metrics);
    result.numbers.forEach((number, m) => mark(number, marks[s][m]));
    for (const beside of place.querySelectorAll(".beside")) {
      const texts = [...beside.querySelectorAll(":scope > span")];
      const last = view.metrics.findLast((m) => !texts[m].matches(".none")); // nothing missing stands at the end
      choose(texts, view.metrics.filter((m) => m <= last));
      beside.hidden = !view.beside || last === undefined;
    }
  });
}

/** Shows a view of a table: its rows, the positions of its metrics, sets and fields, and its sorter. */
function showTable(table, view) {
  const columns = [0, ...view.fields.map((n) => 1 + n), ...view.sets.map((s) => table.first + s)];
  choose(table.heads, columns);
  for (const head of table.heads) choose(head.querySelectorAll(".metrics > span"), view.metrics);
  for (const item of table.sorters) {
    item.head.removeAttribute("aria-sort");
    item.button.setAttribute("aria-pressed", String(item === view.sort));
    item.button.lastChild.textContent = item !== view.sort ? "" : view.down ? "↓" : "↑";
  }
  for (const note of by(table.key).querySelectorAll("[data-metric]")) { // explains the marks of one metric
    note.hidden = !view.metrics.some((m) => table.metrics[m].key === note.dataset.metric);
  }
  if (view.sort) view.sort.head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
  for (const row of view.rows) showRow(row, view, columns, table.first);
  table.bodies.forEach((body, n) => {
    const members = view.sort ? (n ? [] : view.rows) : view.rows.filter((row) => row.body === body);
    table.groups[n].cells[0].colSpan = columns.length;
    body.replaceChildren(...(view.sort ? [] : [table.groups[n]]), ...members.map((row) => row.line));
    body.hidden = !members.length;
  });
}
