/* The first page's controls: choose a table, filter, sort, choose columns, export. The address keeps
 * their state after "#". rows.js shows the view, exports.js exports it. */
"use strict";
(() => {
  const TABLES = JSON.parse(by("grids").textContent);
  if (!TABLES.length) return;
  const boxes = (name) => [...by(name).querySelectorAll("input")];
  const chosen = (name) => boxes(name).flatMap((box, n) => (box.checked ? [n] : []));
  const FIELDS = boxes("fields").map((box) => box.value);
  const COLUMNS = { metrics: "m", sets: "d", fields: "f" }; // lists of boxes, with their names in the address
  const CONTROLS = ["search", "group", "gan", "references", "from", "to", "verified", "complete", "beside"].map(by);
  const valueOf = (control) => (control.type === "checkbox" ? control.checked : control.value.trim());
  let table, sort, down; // what is shown; a sorter of it, or null; its direction
  let view = null; // what is shown of it

  // -- the address -----------------------------------------------------------------------------------------------

  /** Takes another table with its usual columns and its own order. */
  function take(next) {
    [table, sort, down] = [next, null, false];
    by("choose").value = table.key;
    for (const name of ["metrics", "sets"]) {
      by(name).querySelector(".checks").replaceChildren(...table[name].map(({ key, label }, n) => {
        const made = by("box").content.firstElementChild.cloneNode(true);
        Object.assign(made.firstChild, { value: key, defaultChecked: name === "sets" || table.shown.includes(n) });
        made.append(label);
        return made;
      }));
    }
    for (const box of boxes("fields")) box.checked = false;
  }

  const isShown = ({ key, field, s, m }) => (s === undefined ? key === "method" || chosen("fields").includes(field)
    : chosen("sets").includes(s) && chosen("metrics").includes(m));

  /** Reads the view from an address; values that do not fit this page are ignored. */
  function read(values) {
    take(TABLES.find((item) => item.key === values.get("t")) || TABLES[0]);
    for (const [name, letter] of Object.entries(COLUMNS)) {
      const keys = (values.get(letter) || "").split(",");
      if (!boxes(name).some((box) => keys.includes(box.value))) continue;
      for (const box of boxes(name)) box.checked = keys.includes(box.value);
    }
    const [direction, ...column] = (values.get("s") || "").split(",");
    sort = table.sorters.find((item) => item.key === column.join() && isShown(item)) || null;
    down = sort !== null && direction === "down";
    for (const control of CONTROLS) {
      const value = values.get(control.id);
      if (control.type === "checkbox") control.checked = value === null ? control.defaultChecked : value === "1";
      else control.value = value || "";
      if (control.selectedIndex < 0) control.selectedIndex = 0;
    }
  }

  function address() {
    const parts = [["t", table.key]];
    for (const [name, letter] of Object.entries(COLUMNS)) {
      if (boxes(name).every((box) => box.checked === box.defaultChecked)) continue;
      parts.push([letter, boxes(name).filter((box) => box.checked).map((box) => box.value)]);
    }
    if (sort) parts.push(["s", `${down ? "down" : "up"},${sort.key}`]);
    for (const control of CONTROLS) {
      const value = valueOf(control);
      const usual = control.type === "checkbox" ? control.defaultChecked : "";
      if (value !== usual) parts.push([control.id, control.type === "checkbox" ? Number(value) : value]);
    }
    return `#${parts.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&")}`;
  }

  // -- what is shown ---------------------------------------------------------------------------------------------

  function display() {
    const asked = Object.fromEntries(CONTROLS.map((control) => [control.id, valueOf(control)]));
    for (const name of Object.keys(COLUMNS)) asked[name] = chosen(name);
    view = { ...asked, sort, down };
    view.rows = rowsOf(table, view);
    for (const section of document.querySelectorAll("section.grid")) section.hidden = section.id !== table.key;
    for (const line of document.querySelectorAll("section.lineup")) line.hidden = line.dataset.table !== table.key;
    by("published").hidden = table.measured;
    by("empty").hidden = view.rows.length > 0;
    showTable(table, view);
    for (const name of ["metrics", "sets"]) for (const box of boxes(name)) box.disabled = box.checked && view[name].length === 1;
    by("beside").disabled = !table.bodies.some((body) => body.querySelector(".beside"));
    by("complete").disabled = !table.measured;
    say();
  }

  function say(before = "") {
    const sorted = sort ? `, by ${sort.label}, ${down ? "highest" : "lowest"} first` : "";
    const parts = [before, `${table.name}: ${view.rows.length} of ${table.rows.length} rows shown${sorted}`];
    if (view.rows.length < table.rows.length && view.rows.length) parts.push("Best and second are those of the rows shown");
    by("status").textContent = `${parts.filter(Boolean).join(". ")}.`;
  }

  /** Runs after every change by hand, which gets its own step in the history, except while the reader types. */
  function changed(typing = false) {
    if (sort && !isShown(sort)) [sort, down] = [null, false]; // a column that is gone sorts nothing
    if (address() !== location.hash) history[typing ? "replaceState" : "pushState"](null, "", address());
    display();
  }

  function follow() {
    const values = addressed();
    const target = location.hash.includes("=") ? null : by([...values.keys()][0]);
    // A link to a note or a table shows the table it belongs to, unchanged.
    const section = target?.closest("section.grid")?.id;
    const next = target && TABLES.find((item) => (section ? item.key === section : target.closest("#published") && !item.measured));
    if (!target) read(values);
    else if (next && next !== table) take(next);
    display();
    if (target?.tagName === "DETAILS") target.open = true;
    target?.scrollIntoView();
  }

  // -- begin -----------------------------------------------------------------------------------------------------

  const press = (item) => { // best first, then worst first, then as it was
    if (sort !== item) [sort, down] = [item, item.best];
    else if (down === item.best) down = !down;
    else [sort, down] = [null, false];
    changed();
  };
  for (const item of TABLES) prepareTable(item, FIELDS, press);
  take(TABLES[0]);
  by("choose").addEventListener("change", () => {
    const before = table.key;
    take(TABLES.find((item) => item.key === by("choose").value));
    changed();
    const others = [...by(table.key).querySelectorAll("details.changes")];
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
    read(new URLSearchParams({ t: table.key }));
    changed();
  });
  startExports({
    grid: () => table,
    view: () => ({ ...view, fields: view.fields.map((n) => FIELDS[n]), sorted: sort !== null }),
    link: () => location.href.split("#")[0] + address(),
    say,
  });
  window.addEventListener("popstate", follow);
  by("controls").hidden = false;
  follow();
})();
