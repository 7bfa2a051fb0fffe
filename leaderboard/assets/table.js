/* The first page's controls: choose a table; hide, sort and mark its rows and columns; export what is shown.
 *
 * The page holds every number and every mark that there can be. What this script goes by stands in the block "grids"
 * (leaderboard/pages/index.py). The state is that of the controls, and is kept in the address after "#". */
"use strict";
(() => {
  const GRIDS = JSON.parse(by("grids").textContent);
  if (!GRIDS.length) return;
  const plainText = (text) => text.normalize("NFKD").toLowerCase();
  const boxes = (name) => [...by(name).querySelectorAll("input")];
  const chosen = (name) => boxes(name).flatMap((box, n) => (box.checked ? [n] : []));
  const choose = (parts, places) => parts.forEach((part, n) => { part.hidden = !places.includes(n); });
  const FIELDS = boxes("fields").map((box) => box.value);
  const COLUMNS = { metrics: "m", sets: "d", fields: "f" }; // lists of boxes, with their names in the address
  const CONTROLS = ["search", "group", "gan", "references", "from", "to", "verified", "complete", "beside"].map(by);
  const pair = (name, value) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`;
  const valueOf = (control) => (control.type === "checkbox" ? control.checked : control.value.trim());
  let grid, sort, down; // the table that is shown; a sorter of it, or null; its direction
  let view = null; // what is shown, as exports.js takes it

  // -- the page as it came ---------------------------------------------------------------------------------------

  function sorter(head, name, facts, of = "") {
    const button = by("sorter").content.firstElementChild.cloneNode(true);
    const made = { head, button, best: false, ...facts };
    button.children[0].textContent = name.textContent;
    button.children[1].textContent = of;
    name.replaceWith(button);
    button.addEventListener("click", () => {
      // Best first, then worst first, then as it was.
      if (sort !== made) [sort, down] = [made, made.best];
      else if (down === made.best) down = !down;
      else [sort, down] = [null, false];
      changed();
    });
    return made;
  }

  function prepare(table) {
    const element = by(`table-${table.key}`);
    const heads = [...element.tHead.rows[0].cells];
    table.bodies = [...element.tBodies];
    table.groups = table.bodies.map((body) => body.rows[0]);
    table.fieldHeads = heads.slice(1, 1 + FIELDS.length);
    table.setHeads = heads.slice(1 + FIELDS.length);
    table.sorters = ["method", ...FIELDS].map((key, n) => (
      sorter(heads[n], heads[n].firstChild, { key, label: heads[n].textContent.toLowerCase() })));
    table.setHeads.forEach((head, s) => head.querySelectorAll(".metrics > span").forEach((part, m) => {
      const [set, metric] = [table.sets[s], table.metrics[m]];
      const facts = { key: `${set.key},${metric.key}`, label: `${set.label} ${metric.title}`, s, m, best: !metric.lower };
      table.sorters.push(sorter(head, part.lastChild, facts, ` of ${set.title}`));
    }));
    const lines = table.bodies.flatMap((body) => [...body.rows].slice(1));
    table.rows.forEach((row, n) => {
      const [name, ...cells] = lines[n].cells;
      Object.assign(row, { n, line: lines[n], body: lines[n].parentNode, fields: cells.splice(0, FIELDS.length), places: cells });
      row.method = plainText(name.firstChild.textContent);
      row.weights = plainText(row.fields.at(-1).textContent);
      row.text = plainText([row.group, row.weights, ...[...name.children].map((part) => part.textContent)].join(" "));
      row.results = row.cells.map((cell, s) => cell && {
        values: cell[0], ranks: cell[1], parts: [...cells[s].childNodes], ranked: !cells[s].matches(".unranked"),
        numbers: [...cells[s].querySelectorAll(":scope > span, :scope > a > span")],
      });
    });
  }

  // -- the address -----------------------------------------------------------------------------------------------

  /** Another table, its usual columns, as it is sorted by itself. */
  function take(table) {
    [grid, sort, down] = [table, null, false];
    by("choose").value = grid.key;
    for (const name of ["metrics", "sets"]) {
      by(name).querySelector(".checks").replaceChildren(...grid[name].map(({ key, label }, n) => {
        const made = by("box").content.firstElementChild.cloneNode(true);
        Object.assign(made.firstChild, { value: key, defaultChecked: name === "sets" || grid.shown.includes(n) });
        made.append(label);
        return made;
      }));
    }
    for (const box of boxes("fields")) box.checked = false;
  }

  const isShown = ({ key, s, m }) => (s === undefined ? key === "method" || chosen("fields").includes(FIELDS.indexOf(key))
    : chosen("sets").includes(s) && chosen("metrics").includes(m));

  /** The view an address stands for; what does not fit this page is passed over. */
  function read(values) {
    take(GRIDS.find((table) => table.key === values.get("t")) || GRIDS[0]);
    for (const [name, letter] of Object.entries(COLUMNS)) {
      const keys = (values.get(letter) || "").split(",");
      if (boxes(name).some((box) => keys.includes(box.value))) for (const box of boxes(name)) box.checked = keys.includes(box.value);
    }
    const [direction, ...column] = (values.get("s") || "").split(",");
    sort = grid.sorters.find((item) => item.key === column.join() && isShown(item)) || null;
    down = sort !== null && direction === "down";
    for (const control of CONTROLS) {
      const value = values.get(control.id);
      if (control.type === "checkbox") control.checked = value === null ? control.defaultChecked : value === "1";
      else control.value = value || "";
      if (control.selectedIndex < 0) control.selectedIndex = 0;
    }
  }

  function address() {
    const parts = [`t=${grid.key}`];
    for (const [name, letter] of Object.entries(COLUMNS)) {
      if (boxes(name).every((box) => box.checked === box.defaultChecked)) continue;
      parts.push(pair(letter, boxes(name).filter((box) => box.checked).map((box) => box.value)));
    }
    if (sort) parts.push(pair("s", `${down ? "down" : "up"},${sort.key}`));
    for (const control of CONTROLS) {
      const value = valueOf(control);
      if (value !== (control.type === "checkbox" ? control.defaultChecked : "")) {
        parts.push(pair(control.id, control.type === "checkbox" ? Number(value) : value));
      }
    }
    return `#${parts.join("&")}`;
  }

  // -- rows, columns, marks --------------------------------------------------------------------------------------

  /** The rows that fit, in order, with the marks of their numbers; what of a row does not count has none. */
  function rows() {
    const [search, group, gan, references, from, to, verified, complete] = CONTROLS.map(valueOf);
    const words = plainText(search).split(/\s+/);
    const sets = chosen("sets");
    const found = grid.rows.filter((row) => {
      row.counted = row.results.map((result) => (result && (result.ranked || !complete) ? result : null));
      return words.every((word) => row.text.includes(word)) && (!group || row.group === group)
        && (!gan || row.gan === (gan === "yes")) && (!references || row.references === references)
        && (!from || (row.year !== null && row.year >= Number(from))) && (!to || (row.year !== null && row.year <= Number(to)))
        && (!verified || row.verified) && sets.some((s) => row.counted[s]);
    });
    const ranks = grid.sets.map((_, s) => grid.metrics.map((_, m) => found.map((row) => row.counted[s]?.ranks[m]).filter(Boolean)));
    for (const row of found) {
      row.marks = row.counted.map((result, s) => result && result.ranks.map((rank, m) => (
        rank && ranks[s][m].length > 1 && ["best", "second"][ranks[s][m].filter((other) => other < rank).length]) || ""));
    }
    // Ranked results first, those without a number last.
    const order = (row) => {
      const result = sort.s === undefined ? { values: [row[sort.key]], ranked: true } : row.counted[sort.s];
      const value = result && result.values[sort.m || 0];
      return [null, "", "-", "unknown"].includes(value) ? [2, 0] : [result.ranked ? 0 : 1, value === "inf" ? Infinity : value];
    };
    const compare = ([a, x], [b, y]) => a - b || (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
    return sort ? found.map((row) => [order(row), row]).sort(([a], [b]) => compare(a, b)).map(([, row]) => row) : found;
  }

  function mark(number, name) {
    const before = number.querySelector("b, u");
    if ((before?.className || "") === name) return;
    const text = (before || number.lastChild).textContent;
    const made = name ? by(name).content.cloneNode(true) : text;
    if (name) made.firstChild.textContent = text;
    number.replaceChildren(...number.querySelectorAll("i"), made);
  }

  function showRow({ line, fields, places, results, counted, marks }) {
    line.querySelector("small > i").hidden = !view.sorted;
    choose(fields, chosen("fields"));
    choose(places, view.sets);
    results.forEach((result, s) => {
      if (result) places[s].replaceChildren(...(counted[s] ? result.parts : ["-"]));
      if (!counted[s]) return;
      choose(result.numbers, view.metrics);
      result.numbers.forEach((number, m) => mark(number, marks[s][m]));
      for (const beside of places[s].querySelectorAll(".beside")) {
        const texts = [...beside.querySelectorAll(":scope > span")];
        const last = view.metrics.findLast((m) => !texts[m].matches(".none")); // nothing missing stands at the end
        choose(texts, view.metrics.filter((m) => m <= last));
        beside.hidden = !view.beside || last === undefined;
      }
    });
  }

  function display() {
    const [metrics, sets, fields] = Object.keys(COLUMNS).map(chosen);
    view = { rows: rows(), metrics, sets, fields: fields.map((n) => FIELDS[n]), beside: by("beside").checked, sorted: sort !== null };
    for (const section of document.querySelectorAll("section.grid")) section.hidden = section.id !== grid.key;
    by("published").hidden = grid.measured;
    choose(grid.fieldHeads, fields);
    choose(grid.setHeads, sets);
    for (const head of grid.setHeads) choose(head.querySelectorAll(".metrics > span"), metrics);
    for (const item of grid.sorters) {
      item.head.removeAttribute("aria-sort");
      item.button.setAttribute("aria-pressed", String(item === sort));
      item.button.lastChild.textContent = item !== sort ? "" : down ? "↓" : "↑";
    }
    if (sort) sort.head.setAttribute("aria-sort", down ? "descending" : "ascending");
    view.rows.forEach(showRow);
    grid.bodies.forEach((body, n) => {
      const members = sort ? (n ? [] : view.rows) : view.rows.filter((row) => row.body === body);
      grid.groups[n].cells[0].colSpan = 1 + fields.length + sets.length;
      body.replaceChildren(...(sort ? [] : [grid.groups[n]]), ...members.map((row) => row.line));
      body.hidden = !members.length;
    });
    by("empty").hidden = view.rows.length > 0;
    for (const name of ["metrics", "sets"]) for (const box of boxes(name)) box.disabled = box.checked && view[name].length === 1;
    by("beside").disabled = !grid.bodies.some((body) => body.querySelector(".beside"));
    by("complete").disabled = !grid.measured;
    say();
  }

  function say(before = "") {
    const sorted = sort ? `, by ${sort.label}, ${down ? "highest" : "lowest"} first` : "";
    const parts = [before, `${grid.name}: ${view.rows.length} of ${grid.rows.length} rows shown${sorted}`];
    if (view.rows.length < grid.rows.length && view.rows.length) parts.push("Best and second are those of the rows shown");
    by("status").textContent = `${parts.filter(Boolean).join(". ")}.`;
  }

  /** After every change by hand: a step of its own in the history, except while somebody types. */
  function changed(typing = false) {
    if (sort && !isShown(sort)) [sort, down] = [null, false]; // a column that is gone sorts nothing
    if (address() !== location.hash) history[typing ? "replaceState" : "pushState"](null, "", address());
    display();
  }

  function follow() {
    const values = addressed();
    const target = location.hash.includes("=") ? null : by([...values.keys()][0]);
    // A link to a note or a table: show the table it belongs to, as it stands.
    const section = target?.closest("section.grid")?.id;
    const table = target && GRIDS.find((item) => (section ? item.key === section : target.closest("#published") && !item.measured));
    if (!target) read(values);
    else if (table && table !== grid) take(table);
    display();
    if (target?.tagName === "DETAILS") target.open = true;
    target?.scrollIntoView();
  }

  // -- begin -----------------------------------------------------------------------------------------------------

  GRIDS.forEach(prepare);
  take(GRIDS[0]);
  by("choose").addEventListener("change", () => {
    const before = grid.key;
    take(GRIDS.find((table) => table.key === by("choose").value));
    changed();
    const others = [...by(grid.key).querySelectorAll("details.changes")];
    for (const item of others) item.open = item.dataset.against === before;
    const told = others.find((item) => item.open);
    if (told) say(told.querySelector("summary").textContent.trim());
  });
  for (const name of Object.keys(COLUMNS)) by(name).addEventListener("change", () => changed());
  for (const control of CONTROLS) {
    const event = ["search", "number"].includes(control.type) ? "input" : "change";
    control.addEventListener(event, () => changed(event === "input"));
  }
  by("reset").addEventListener("click", () => {
    read(new URLSearchParams({ t: grid.key }));
    changed();
  });
  startExports({ grid: () => grid, view: () => view, link: () => location.href.split("#")[0] + address(), say });
  window.addEventListener("popstate", follow);
  by("controls").hidden = false;
  follow();
})();
