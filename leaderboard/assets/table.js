/* The first page's controls: choose a table, sort, filter, search, choose columns, export what is shown.
 *
 * Rows are those of templates/index.html.j2, element for element, and the exports those of leaderboard/exports.py;
 * tests/leaderboard/test_browser_table.py compares them. All state is in the address after "#". Text from run files
 * enters the page as text alone (textContent, setAttribute), never as markup. */
"use strict";
(() => {
  const GRIDS = JSON.parse(document.getElementById("grids").textContent);
  if (!GRIDS.length) return;
  const MISSING = "-";
  const FIELDS = { year: "Year", references: "References", parameters: "Parameters", gmacs: "GMACs", weights: "Weights" };
  const FILTERS = ["search", "group", "gan", "references", "from", "to", "verified", "complete"];
  const by = (id) => document.getElementById(id);
  const range = (n) => Array.from({ length: n }, (_, i) => i);

  // -- state and address ---------------------------------------------------------------------------------------

  const fresh = (grid) => ({
    grid, metrics: [...grid.shown], sets: range(grid.sets.length), fields: [], sort: null, down: false,
  });
  const unfiltered = () => ({
    search: "", group: "", gan: "", references: "", from: "", to: "", verified: false, complete: false, beside: true,
  });
  let state = { ...fresh(GRIDS[0]), ...unfiltered() };

  const same = (a, b) => a.length === b.length && a.every((item, i) => item === b[i]);
  const list = (items) => items.map(encodeURIComponent).join(",");

  function address() {
    const { grid } = state;
    const parts = [`t=${encodeURIComponent(grid.key)}`];
    if (!same(state.metrics, grid.shown)) parts.push(`m=${list(state.metrics.map((m) => grid.metrics[m].key))}`);
    if (state.sets.length < grid.sets.length) parts.push(`d=${list(state.sets.map((d) => grid.sets[d].key))}`);
    if (state.fields.length) parts.push(`f=${list(state.fields)}`);
    if (state.sort) {
      const names = typeof state.sort === "string"
        ? [state.sort]
        : [grid.sets[state.sort[0]].key, grid.metrics[state.sort[1]].key];
      parts.push(`s=${list([state.down ? "down" : "up", ...names])}`);
    }
    for (const name of FILTERS) {
      if (state[name]) parts.push(`${name}=${state[name] === true ? "1" : encodeURIComponent(state[name])}`);
    }
    if (!state.beside) parts.push("beside=0");
    return `#${parts.join("&")}`;
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  /** The state an address stands for; what does not fit this page is passed over. */
  function read(hash) {
    const values = new Map(hash.replace(/^#/, "").split("&").map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
    }));
    const text = (name) => decoded(values.get(name) || "");
    const several = (name) => (values.get(name) || "").split(",").filter(Boolean).map(decoded);
    const grid = GRIDS.find((item) => item.key === text("t")) || GRIDS[0];
    const found = { ...fresh(grid), ...unfiltered() };
    const places = (name, items) => {
      const chosen = several(name);
      return range(items.length).filter((i) => chosen.includes(items[i].key));
    };
    const metrics = places("m", grid.metrics);
    const sets = places("d", grid.sets);
    if (metrics.length) found.metrics = metrics;
    if (sets.length) found.sets = sets;
    found.fields = Object.keys(FIELDS).filter((name) => several("f").includes(name));
    const [direction, first, second] = several("s");
    if (second !== undefined) {
      const place = [
        grid.sets.findIndex((item) => item.key === first), grid.metrics.findIndex((item) => item.key === second),
      ];
      if (found.sets.includes(place[0]) && found.metrics.includes(place[1])) found.sort = place;
    } else if (first === "method" || found.fields.includes(first)) {
      found.sort = first;
    }
    found.down = direction === "down" && found.sort !== null;
    for (const name of ["search", "from", "to"]) found[name] = text(name);
    for (const name of ["group", "gan", "references"]) {
      if ([...by(name).options].some((option) => option.value === text(name))) found[name] = text(name);
    }
    for (const name of ["verified", "complete"]) found[name] = text(name) === "1";
    for (const name of ["from", "to"]) if (!/^\d{1,4}$/.test(found[name])) found[name] = "";
    found.beside = values.get("beside") !== "0";
    return found;
  }

  // -- what is shown -------------------------------------------------------------------------------------------

  const plainText = (text) => text.normalize("NFKD").toLowerCase();
  const cellOf = (row, set) => {
    const cell = row.cells[set];
    return cell && !(state.complete && cell.t && cell.t !== "complete") ? cell : null;
  };

  function fits(row) {
    const all = plainText([row.title, row.weights, row.line, row.mark, row.group].join(" "));
    return plainText(state.search).split(/\s+/).every((word) => all.includes(word))
      && (!state.group || row.group === state.group)
      && (!state.gan || row.gan === (state.gan === "yes"))
      && (!state.references || row.references === state.references)
      && (!state.from || (row.year !== null && row.year >= Number(state.from)))
      && (!state.to || (row.year !== null && row.year <= Number(state.to)))
      && (!state.verified || row.verified)
      && state.sets.some((set) => cellOf(row, set));
  }

  /** What a row is sorted by: [0 ranked, 1 not ranked, 2 nothing to sort by; the value]. */
  function key(row) {
    if (typeof state.sort === "string") {
      const value = { method: plainText(row.title), year: row.year, references: row.references,
        parameters: row.parameters, gmacs: row.gmacs, weights: plainText(row.weights) }[state.sort];
      return value === null || value === "" || value === "unknown" ? [2, 0] : [0, value];
    }
    const cell = cellOf(row, state.sort[0]);
    const score = cell && cell.s[state.sort[1]];
    if (!score || score[1] === null) return [2, 0];
    return [cell.t && cell.t !== "complete" ? 1 : 0, score[1] === "inf" ? Infinity : score[1]];
  }

  function rows() {
    const found = state.grid.rows.filter(fits);
    if (state.sort === null) return found;
    const sign = state.down ? -1 : 1;
    return found.map((row) => [key(row), row]).sort(([a], [b]) => (
      a[0] - b[0] || (a[1] < b[1] ? -sign : a[1] > b[1] ? sign : 0)
    )).map(([, row]) => row);
  }

  /** [[group, its rows], ...]; one nameless group when sorted. */
  function grouped() {
    const found = rows();
    if (state.sort !== null) return found.length ? [["", found]] : [];
    return [...new Set(found.map((row) => row.group))].map((name) => [name, found.filter((row) => row.group === name)]);
  }

  function field(row, name) {
    if (name === "parameters") return row.count;
    if (name === "gmacs") return row.gmacsText;
    const value = row[name];
    return value === null || value === "" || value === "unknown" ? MISSING : String(value);
  }

  /** Published numbers or differences as printed; "" when there is none to show. */
  function joined(texts) {
    const found = state.metrics.map((m) => texts[m]);
    while (found.length && !found.at(-1)) found.pop();
    return found.map((text) => text || MISSING).join(" / ");
  }

  // -- the table -----------------------------------------------------------------------------------------------

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function printed(cell) {
    return state.metrics.flatMap((m, i) => {
      const [text, , , mark] = cell.s[m];
      const parts = i ? [" / "] : [];
      if (mark === 1) parts.push(make("b", { class: "best" }, text), make("span", { class: "aside" }, " (best)"));
      else if (mark === 2) parts.push(make("u", { class: "second" }, text), make("span", { class: "aside" }, " (second)"));
      else parts.push(text);
      return parts;
    });
  }

  function data(cell) {
    if (!cell) return make("td", { class: "num none" }, MISSING);
    if (!cell.h) return make("td", { class: "num" }, ...printed(cell));
    const made = make("td", { class: cell.r ? "num unranked" : "num" });
    made.append(make("a", { href: cell.h, title: cell.a }, ...printed(cell)));
    if (cell.r) made.append(make("small", {}, cell.r));
    if (cell.p && state.beside && joined(cell.p[1])) {
      const [source, texts, gaps, , caveat] = cell.p;
      const link = make("a", { href: `#source-${state.grid.key}-${source}`, "aria-label": `source ${source}` }, String(source));
      made.append(make("small", { class: "beside" }, `publ. ${joined(texts)}`, make("sup", {}, link)));
      if (joined(gaps)) {
        made.append(make("small", caveat ? { class: "beside", title: caveat } : { class: "beside" }, `diff. ${joined(gaps)}`));
      }
    }
    return made;
  }

  function line(row) {
    const head = make("th", { scope: "row" });
    head.append(row.href
      ? make("a", { class: "method", href: row.href }, row.title)
      : make("span", { class: "method" }, row.title));
    if (row.gan) head.append(make("span", { class: "aside" }, " (GAN-trained)"));
    const small = state.sort === null ? row.line : [row.group, row.line].filter(Boolean).join(" · ");
    if (small) head.append(make("small", {}, small));
    if (row.mark) head.append(make("small", { class: "flag" }, row.mark));
    const made = make("tr", row.gan ? { class: "gan" } : {}, head);
    for (const name of state.fields) {
      made.append(make("td", { class: name === "weights" ? "field wraps" : "field" }, field(row, name)));
    }
    made.append(...state.sets.map((set) => data(cellOf(row, set))));
    return made;
  }

  const isSorted = (what) => state.sort !== null && String(state.sort) === String(what);

  /** A button in a head that sorts by ``what``: "method", a field, or [set, metric]. */
  function sorter(what, text, head) {
    const on = isSorted(what);
    const arrow = make("span", { class: "arrow", "aria-hidden": "true" }, on ? (state.down ? "↓" : "↑") : "");
    const button = make("button", { type: "button", class: "sort", "aria-pressed": String(on), "data-sort": String(what) }, text, arrow);
    if (on) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    const best = Array.isArray(what) && !state.grid.metrics[what[1]].lower;
    button.addEventListener("click", () => {
      // Best first, then worst first, then as it was.
      if (!on) [state.sort, state.down] = [what, best];
      else if (state.down === best) state.down = !best;
      else [state.sort, state.down] = [null, false];
      changed();
    });
    return button;
  }

  const oldHeads = new Map(); // the heads as they came, with the links of their notes

  function heads(table) {
    const { grid } = state;
    const key = grid.key;
    if (!oldHeads.has(key)) oldHeads.set(key, [...table.tHead.rows[0].cells]);
    const method = make("th", { scope: "col" });
    method.append(sorter("method", "Method", method));
    const made = [method];
    for (const name of state.fields) {
      const head = make("th", { scope: "col", class: "field-head" });
      head.append(sorter(name, FIELDS[name], head));
      made.push(head);
    }
    for (const set of state.sets) {
      const head = oldHeads.get(key)[set + 1].cloneNode(true);
      const place = head.querySelector(".metrics");
      place.replaceChildren(...state.metrics.flatMap((m, i) => {
        const button = sorter([set, m], grid.metrics[m].title, head);
        button.append(make("span", { class: "aside" }, ` of ${grid.sets[set].title}`));
        return i ? [" / ", button] : [button];
      }));
      made.push(head);
    }
    return make("tr", {}, ...made);
  }

  function show() {
    const { grid } = state;
    const table = by(`table-${grid.key}`);
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.sort : undefined;
    table.tHead.replaceChildren(heads(table));
    const width = 1 + state.fields.length + state.sets.length;
    const bodies = grouped().map(([name, members]) => {
      const body = make("tbody", {});
      if (name) {
        const head = make("th", { scope: "rowgroup", colspan: String(width) }, make("span", {}, name));
        body.append(make("tr", { class: "group" }, head));
      }
      body.append(...members.map(line));
      return body;
    });
    if (!bodies.length) {
      const note = make("td", { class: "empty", colspan: String(width) }, "No row fits. Reset shows all of them again.");
      bodies.push(make("tbody", {}, make("tr", {}, note)));
    }
    for (const body of [...table.tBodies]) body.remove();
    table.append(...bodies);
    if (focused !== undefined) {
      const again = [...table.querySelectorAll(".sort")].find((button) => button.dataset.sort === focused);
      if (again) again.focus({ preventScroll: true });
    }
  }

  // -- controls ------------------------------------------------------------------------------------------------

  function boxes(id, items, chosen, keepOne, toggle) {
    const focused = document.activeElement && by(id).contains(document.activeElement) ? document.activeElement.value : null;
    by(id).querySelector(".checks").replaceChildren(...items.map(([value, text]) => {
      const box = make("input", { type: "checkbox", value: String(value) });
      box.checked = chosen.includes(value);
      box.disabled = keepOne && box.checked && chosen.length === 1;
      box.addEventListener("change", () => {
        toggle(items.map(([item]) => item).filter((item) => (item === value ? box.checked : chosen.includes(item))));
        // A column that is gone sorts nothing.
        if (Array.isArray(state.sort)) {
          if (!state.sets.includes(state.sort[0]) || !state.metrics.includes(state.sort[1])) state.sort = null;
        } else if (state.sort !== "method" && !state.fields.includes(state.sort)) state.sort = null;
        changed();
      });
      if (String(value) === focused) queueMicrotask(() => box.focus());
      return make("label", {}, box, ` ${text}`);
    }));
  }

  function controls() {
    const { grid } = state;
    by("choose").value = grid.key;
    for (const name of FILTERS) {
      if (by(name).type === "checkbox") by(name).checked = state[name];
      else if (by(name).value !== state[name]) by(name).value = state[name];
    }
    by("beside").checked = state.beside;
    by("beside").disabled = !grid.rows.some((row) => row.cells.some((cell) => cell && cell.p));
    by("complete").disabled = grid.kind !== "measured";
    boxes("metrics", grid.metrics.map((m, i) => [i, m.unit ? `${m.title} (${m.unit})` : m.title]), state.metrics, true,
      (chosen) => { state.metrics = chosen; });
    boxes("sets", grid.sets.map((s, i) => [i, label(s)]), state.sets, true, (chosen) => { state.sets = chosen; });
    boxes("fields", Object.entries(FIELDS), state.fields, false, (chosen) => { state.fields = chosen; });
  }

  const label = (set) => (set.note ? `${set.title} [${set.note}]` : set.title);

  function say(before = "") {
    const { grid } = state;
    const found = rows().length;
    const parts = [before, `${grid.kind === "measured" ? "Protocol " : ""}${grid.title}: ${found} of ${grid.rows.length} rows shown`];
    if (state.sort !== null) {
      const what = typeof state.sort === "string"
        ? (FIELDS[state.sort] || "method").toLowerCase()
        : `${label(grid.sets[state.sort[0]])} ${grid.metrics[state.sort[1]].title}`;
      parts[1] += `, by ${what}, ${state.down ? "highest" : "lowest"} first`;
    }
    if (found < grid.rows.length && found) parts.push("Best and second are those of the whole table");
    by("status").textContent = `${parts.filter(Boolean).join(". ")}.`;
  }

  function display() {
    const { grid } = state;
    for (const section of document.querySelectorAll("section.grid")) section.hidden = section.id !== grid.key;
    by("published").hidden = grid.kind !== "published";
    controls();
    show();
    say();
  }

  /** After every change by hand: a step of its own in the history, except while somebody types. */
  function changed(typing = false) {
    const next = address();
    if (next !== location.hash) {
      if (typing) history.replaceState(null, "", next);
      else history.pushState(null, "", next);
    }
    display();
  }

  function follow() {
    const hash = location.hash;
    const target = hash.length > 1 && !hash.includes("=") ? by(decoded(hash.slice(1))) : null;
    if (target) {
      // A link to a note or a table: show the table it belongs to, as it stands.
      const section = target.closest("section.grid");
      const grid = section ? GRIDS.find((item) => item.key === section.id)
        : target.closest("#published") ? GRIDS.find((item) => item.kind === "published") : null;
      if (grid && grid !== state.grid) state = { ...state, ...fresh(grid) };
      display();
      if (target.tagName === "DETAILS") target.open = true;
      target.scrollIntoView();
      return;
    }
    state = read(hash);
    display();
  }

  // -- exports -------------------------------------------------------------------------------------------------

  const oneLine = (text) => text.replace(/[\t\n\v\f\r\u0085\u2028\u2029 ]+/g, " ").replace(/^ +| +$/g, "");
  const status = (cell) => (!cell.t ? "published" : cell.r && cell.r !== cell.t ? `${cell.t}: ${cell.r}` : cell.t);
  const plainCell = (text) => (/^[=+\-@\t]/.test(text) ? `'${text}` : text);
  const digits = (text) => {
    const ascii = text.replace("−", "-").replace("∞", "inf");
    return ascii === MISSING ? "" : ascii.replace(/^([+-]?)\./, "$10.");
  };
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  function toCsv() {
    const { grid, metrics, sets } = state;
    const shown = grouped().flatMap(([, members]) => members);
    const measured = grid.kind === "measured";
    const beside = sets.map((set) => state.beside && shown.some((row) => (cellOf(row, set) || {}).p));
    const head = ["Method", "Group", "GAN", "Year", "References", "Parameters", "GMACs", "Weights"];
    sets.forEach((set, place) => {
      const names = metrics.map((m) => `${label(grid.sets[set])} ${grid.metrics[m].title}`);
      head.push(...names);
      if (measured) head.push(`${label(grid.sets[set])} status`);
      if (beside[place]) {
        for (const what of ["published", "difference"]) head.push(...names.map((name) => `${name} ${what}`));
        head.push(`${label(grid.sets[set])} published in`);
      }
    });
    const lines = [head.map(plainCell)];
    for (const row of shown) {
      const items = [row.title, row.group, row.gan === null ? "" : String(row.gan), row.year === null ? "" : String(row.year),
        row.references, row.parameters === null ? "" : String(Math.round(row.parameters)),
        row.gmacs === null ? "" : row.gmacsText.replaceAll(",", ""), row.weights].map(plainCell);
      sets.forEach((set, place) => {
        const cell = cellOf(row, set);
        items.push(...metrics.map((m) => (cell ? digits(cell.s[m][0]) : "")));
        if (measured) items.push(cell ? status(cell) : "");
        if (beside[place]) {
          const found = cell && cell.p;
          items.push(...metrics.map((m) => (found ? digits(found[1][m]) : "")));
          items.push(...metrics.map((m) => (found ? digits(found[2][m]) : "")));
          items.push(found ? plainCell(grid.sources[found[0] - 1]) : "");
        }
      });
      lines.push(items);
    }
    return lines.map((items) => `${items.map(quoted).join(",")}\n`).join("");
  }

  function toJson() {
    const { grid, metrics, sets } = state;
    const records = grouped().flatMap(([, members]) => members).map((row) => ({
      method: row.title, group: row.group, gan: row.gan, year: row.year, references: row.references,
      parameters: row.parameters, gmacs: row.gmacs, weights: row.weights, weights_sha256: row.sha, implementation: row.mark,
      results: sets.filter((set) => cellOf(row, set)).map((set) => {
        const cell = cellOf(row, set);
        const found = {
          dataset: grid.sets[set].key, title: label(grid.sets[set]), official: grid.sets[set].official, status: status(cell),
          metrics: metrics.map((m) => ({ metric: grid.metrics[m].key, value: cell.s[m][1], rank: cell.s[m][2] || null })),
        };
        if (state.beside && cell.p) {
          found.published = {
            source: grid.sources[cell.p[0] - 1], measured_with: cell.p[4],
            metrics: metrics.map((m) => ({ metric: grid.metrics[m].key, value: cell.p[3][m] })),
          };
        }
        return found;
      }),
    }));
    const whole = { table: grid.title, kind: grid.kind, protocol_digest: grid.digest, sources: grid.sources, rows: records };
    return `${JSON.stringify(whole, null, 1)}\n`;
  }

  /** Heads after the first, and what stands below those of data sets. */
  function sheetHeads() {
    const { grid } = state;
    const metrics = state.metrics.map((m) => grid.metrics[m].title).join(" / ");
    const sets = state.sets.map((set) => label(grid.sets[set]) + (grid.sets[set].official ? "" : " (not official)"));
    return [
      [...state.fields.map((name) => FIELDS[name]), ...sets], [...state.fields.map(() => ""), ...sets.map(() => metrics)],
    ];
  }

  const publishedText = (cell) => (state.beside && cell.p && joined(cell.p[1]) ? ` (published ${joined(cell.p[1])})` : "");

  const LATEX = new Map(Object.entries({
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", $: "\\$", "&": "\\&", "#": "\\#", "%": "\\%", _: "\\_",
    "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "\\textless{}", ">": "\\textgreater{}",
    "|": "\\textbar{}", '"': "\\textquotedbl{}", "²": "\\textsuperscript{2}", "∞": "$\\infty$", "−": "$-$",
  }));
  const escapedBy = (table) => (text) => [...oneLine(text)].map((c) => table.get(c) || c).join("");
  const latex = escapedBy(LATEX);

  function toLatex() {
    const { grid } = state;
    const [names, below] = sheetHeads();
    const digest = grid.digest ? `, digest ${grid.digest.slice(0, 12)}` : "";
    const lines = [
      `% ${latex(grid.title)}${digest}`, "% needs \\usepackage{booktabs} and \\usepackage[table]{xcolor}",
      `\\begin{tabular}{l${"c".repeat(names.length)}}`, "\\toprule",
      `${["Method", ...names.map(latex)].join(" & ")} \\\\`, `${["", ...below.map(latex)].join(" & ")} \\\\`,
    ];
    for (const [name, members] of grouped()) {
      lines.push("\\midrule");
      if (name) lines.push(`\\multicolumn{${names.length + 1}}{l}{\\textit{${latex(name)}}} \\\\`);
      for (const row of members) {
        const cells = [...state.fields.map((item) => latex(field(row, item))), ...state.sets.map((set) => {
          const cell = cellOf(row, set);
          if (!cell) return MISSING;
          let text = state.metrics.map((m) => {
            const made = latex(cell.s[m][0]);
            return cell.s[m][3] === 1 ? `\\textbf{${made}}` : cell.s[m][3] === 2 ? `\\underline{${made}}` : made;
          }).join(" / ");
          if (cell.r) text = `\\textit{${text} (${latex(cell.r)})}`;
          const published = latex(publishedText(cell));
          return published ? `${text} ${published}` : text;
        })];
        lines.push(`${row.gan ? "\\rowcolor[gray]{0.92} " : ""}${[latex(row.title), ...cells].join(" & ")} \\\\`);
      }
    }
    return `${[...lines, "\\bottomrule", "\\end{tabular}"].join("\n")}\n`;
  }

  const MARKDOWN = new Map([
    ["&", "&amp;"], ["<", "&lt;"], [">", "&gt;"], ["@", "&#64;"], [":", "&#58;"], ...[..."\\`*_[]|~#$"].map((c) => [c, `\\${c}`]),
  ]);
  const markdown = (text) => escapedBy(MARKDOWN)(text).replace(/www\./gi, (found) => `${found.slice(0, -1)}&#46;`);
  const pipes = (cells) => `| ${cells.join(" | ")} |`;

  function toMarkdown() {
    const [names, below] = sheetHeads();
    const lines = [
      pipes(["Method", ...names.map((name, i) => markdown(name) + (below[i] ? ` ${markdown(below[i])}` : ""))]),
      pipes(["---", ...below.map((text) => (text ? ":---:" : "---"))]),
    ];
    for (const [name, members] of grouped()) {
      if (name) lines.push(pipes([`*${markdown(name)}*`, ...names.map(() => "")]));
      for (const row of members) {
        const cells = [...state.fields.map((item) => markdown(field(row, item))), ...state.sets.map((set) => {
          const cell = cellOf(row, set);
          if (!cell) return MISSING;
          let text = state.metrics.map((m) => {
            const made = markdown(cell.s[m][0]);
            return cell.s[m][3] === 1 ? `**${made}**` : cell.s[m][3] === 2 ? `<ins>${made}</ins>` : made;
          }).join(" / ");
          if (cell.r) text = `*${text} (${markdown(cell.r)})*`;
          const published = markdown(publishedText(cell));
          return published ? `${text} ${published}` : text;
        })];
        lines.push(pipes([markdown(row.title) + (row.gan ? " (GAN)" : ""), ...cells]));
      }
    }
    return `${lines.join("\n")}\n`;
  }

  const EXPORTS = {
    csv: [toCsv, "csv", "text/csv"], json: [toJson, "json", "application/json"],
    latex: [toLatex, "tex", "text/x-tex"], markdown: [toMarkdown, "md", "text/markdown"],
  };

  async function copy(text, what) {
    const fallback = by("fallback");
    fallback.hidden = true;
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} copied`);
    } catch {
      fallback.hidden = false;
      by("text").value = text;
      by("text").select();
      say("This browser does not let a page copy: the text is selected in the field below the buttons");
    }
  }

  function download() {
    const [write, ending, type] = EXPORTS[by("format").value];
    const url = URL.createObjectURL(new Blob([write()], { type: `${type};charset=utf-8` }));
    const link = make("a", { href: url, download: `${state.grid.key}.${ending}` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`${state.grid.key}.${ending} downloaded`);
  }

  // -- begin ---------------------------------------------------------------------------------------------------

  by("choose").addEventListener("change", () => {
    const before = state.grid;
    const grid = GRIDS.find((item) => item.key === by("choose").value);
    state = { ...state, ...fresh(grid) };
    changed();
    const others = [...by(grid.key).querySelectorAll("details.changes")];
    for (const item of others) item.open = item.dataset.against === before.key;
    const told = others.find((item) => item.open);
    if (told) say(told.querySelector("summary").textContent.trim());
  });
  for (const name of [...FILTERS, "beside"]) {
    const control = by(name);
    const event = control.type === "search" || control.type === "number" ? "input" : "change";
    control.addEventListener(event, () => {
      state[name] = control.type === "checkbox" ? control.checked : control.value.trim();
      changed(event === "input");
    });
  }
  by("reset").addEventListener("click", () => {
    state = { ...fresh(state.grid), ...unfiltered() };
    changed();
  });
  by("copy").addEventListener("click", () => copy(EXPORTS[by("format").value][0](), by("format").selectedOptions[0].text));
  by("link").addEventListener("click", () => copy(location.href.split("#")[0] + address(), "Link"));
  by("download").addEventListener("click", download);
  window.addEventListener("popstate", follow);
  by("controls").hidden = false;
  follow();
})();
