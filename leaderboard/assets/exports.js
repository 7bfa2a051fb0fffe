/* Exports of the first page. leaderboard/exports wrote every piece of text as a Sheet. This script selects the pieces of a
 * view and joins them, as ``joined`` does there. tests/leaderboard/test_browser_table.py compares the two. */
"use strict";
const written = new Map(); // the sheets of a table by format; its own script calls sheets when it is loaded
function sheets(key, forms) {
  written.set(key, forms);
}

async function sheetOf(grid, form) {
  if (!written.has(grid.key)) {
    await new Promise((resolve, reject) => {
      document.head.append(make("script", { src: grid.script, onload: resolve, onerror: reject }));
    });
  }
  return written.get(grid.key)[form];
}

/** Connects the buttons that copy and download. grid, view, link: return the shown state; say: tells the reader. */
function startExports({ grid, view, link, say }) {
  const copy = async (text, what) => {
    const done = await copied(text);
    by("fallback").hidden = done;
    if (done) return say(`${what} copied`);
    by("text").value = text;
    by("text").select();
    say("This browser does not let a page copy: the text is selected in the field below the buttons");
  };
  const download = (text, sheet) => {
    const name = `${grid().key}.${sheet.ending}`;
    offer(new Blob([text], { type: `${sheet.kind};charset=utf-8` }), name);
    say(`${name} downloaded`);
  };
  const failed = () => say("The folder exports is not beside this page");
  const exported = (use) => sheetOf(grid(), by("format").value).then((sheet) => use(joined(sheet, view()), sheet), failed);
  by("copy").addEventListener("click", () => exported((text) => copy(text, by("format").selectedOptions[0].text)));
  by("download").addEventListener("click", () => exported(download));
  by("link").addEventListener("click", () => copy(link(), "Link"));
}

/** Returns the text of a view: metrics, sets and fields shown, beside (with published numbers), sorted (without groups),
 * and rows. A row has its position n in the table, its group, and the marks of its numbers by data set (null: no result). */
function joined(sheet, view) {
  const fields = view.fields.filter((name) => sheet.heads.length && name in sheet.heads[0].fields);
  const columns = fields.length + view.sets.length;
  const several = (texts) => {
    const chosen = view.metrics.map((m) => texts[m]);
    while (chosen.length && chosen.at(-1) === null) chosen.pop();
    return chosen.length ? chosen.map((text) => text ?? sheet.missing).join(sheet.numbers) : null;
  };
  const cell = (pieces, marks) => {
    if (pieces === null || typeof pieces === "string") return pieces;
    const { before, numbers, after, beside, end } = pieces;
    const known = beside && view.beside ? several(beside.texts) : null;
    const more = known === null ? [] : [beside.before, known, beside.between, beside.gaps.length ? several(beside.gaps) : "", beside.after];
    const marked = view.metrics.map((m) => (sheet.marks[marks[m]] || ["", ""]).join(numbers[m]));
    return [before, marked.join(sheet.numbers), after, ...more, end].join("");
  };
  const line = (pieces, marks) => {
    const cells = view.sets.map((set) => (marks[set] ? cell(pieces.cells[set], marks[set]) : cell(sheet.absent[set], [])));
    const items = [pieces.first, ...fields.map((name) => pieces.fields[name]), ...cells];
    return pieces.before + items.filter((item) => item !== null).join(sheet.columns) + pieces.after;
  };
  const lines = view.rows.flatMap((row, n) => {
    const first = n === 0 || (!view.sorted && row.group !== view.rows[n - 1].group);
    const head = view.sorted ? sheet.plain : sheet.groups[row.group]?.[columns];
    return first && head ? [head, line(sheet.rows[row.n], row.marks)] : [line(sheet.rows[row.n], row.marks)];
  });
  const unmarked = sheet.absent.map(() => []);
  const heads = sheet.heads.map((head) => line(head, unmarked)).join("");
  const text = sheet.begin[columns] + heads + lines.join(sheet.lines) + sheet.end + view.metrics.map((m) => sheet.feet[m] || "").join("");
  return sheet.pretty ? `${JSON.stringify(JSON.parse(text), null, 1)}\n` : text;
}
