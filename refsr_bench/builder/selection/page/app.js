// The selection page. A decision is shown only once it is saved: every change waits for the server.

import { $, ARROWS, Pane, ask, complain, listen } from "./base.js";

const state = { project: null, at: 0, detail: null, card: 0, letters: new Map() };
const details = new Map(); // query id -> the server's facts about it and its candidates
let saving = Promise.resolve();

function detailOf(id) {
  if (!details.has(id)) {
    const wanted = ask(`api/query/${encodeURIComponent(id)}`);
    wanted.catch(() => details.delete(id));
    details.set(id, wanted);
  }
  return details.get(id);
}

// ---- one click: sent, saved, then shown

function decide(action, more = {}) {
  const query = state.project.queries[state.at];
  const request = { action, query: query.id, category: query.category || "", ...more };
  saving = saving.then(() => send(request));
  return saving;
}

async function send(request) {
  const { project } = state;
  if (request.action === "undo") request.lines = project.lines;
  try {
    const saved = await ask("api/decide", request);
    complain("");
    project.lines = saved.lines;
    const index = project.queries.findIndex((query) => query.id === saved.id);
    if (index < 0) return draw(); // about a query that has lost its candidates since
    const before = { ...project.queries[index] };
    Object.assign(project.queries[index], saved);
    await after(request, index, before);
  } catch (error) {
    if (error.status === 409) await load(project.queries[state.at].id).catch(() => null);
    closeCompare(false); // nothing outside of it could be seen
    complain(`Not saved. ${error.message}`, error.status === 409 ? null : () => (saving = saving.then(() => send(request))));
  }
}

async function after(request, index, before) {
  const { queries } = state.project;
  const query = queries[index];
  if (request.action === "undo") {
    if (index !== state.at) await show(index);
    else draw();
    return tell(`Taken back: query ${query.id} is ${decided(query) ? "as before" : "open again"}.`);
  }
  const choice = query.choice && (await detailOf(query.id)).candidates.findIndex((one) => one.image === query.choice) + 1;
  const words = query.rejected ? "no proper reference" : choice ? `candidate ${choice}` : "open";
  const saved = `Saved. Query ${query.id}: ${[words, query.category].filter(Boolean).join(", ")}.`;
  // Continue when this click finished the query; a person who came back to look or change stays.
  const open = nextOpen(index);
  if (finished(query) && !finished(before) && index === state.at && open !== null) {
    closeCompare(false);
    await show(open, true);
  } else if (index === state.at) {
    draw();
    if (query.choice && !query.category) {
      closeCompare(false);
      $("categories").scrollIntoView({ block: "nearest" });
    }
  }
  tell(query.choice && !query.category ? `${saved} What does the query show?` : saved);
}

const decided = (query) => Boolean(query.choice || query.rejected);
const finished = (query) => Boolean(query.rejected || (query.choice && query.category));

function nextOpen(from) {
  const { queries } = state.project;
  for (let step = 1; step <= queries.length; step++) {
    const index = (from + step) % queries.length;
    if (!finished(queries[index])) return index === from ? null : index;
  }
  return null;
}

function tell(text) {
  const { queries } = state.project;
  const done = queries.every(finished);
  $("status").textContent = done ? `${text} All queries are decided: close this page and stop the command with Ctrl-C.` : text;
}

// ---- the page

async function load(id) {
  const project = await ask("api/project");
  state.project = project;
  $("title").textContent = project.title;
  document.title = `${project.title}: choosing references`;
  $("who").textContent = project.annotator ? `as ${project.annotator}` : "";
  $("rename").hidden = project.fixed || !project.annotator;
  if (!project.annotator) return askName();
  if (!$("categories").children.length) drawCategories();
  const first = project.queries.findIndex((query) => !finished(query));
  const asked = project.queries.findIndex((query) => query.id === id);
  $("query").parentElement.hidden = false;
  await show(asked >= 0 ? asked : Math.max(0, first));
  if (first < 0) tell("");
}

async function show(index, focus = false) {
  const { queries } = state.project;
  const query = queries[index];
  state.at = index;
  state.card = view.n = 0;
  try {
    const detail = await detailOf(query.id);
    if (state.at !== index) return;
    state.detail = detail;
  } catch (error) {
    return complain(error.message, () => show(index, focus));
  }
  history.replaceState(null, "", `#${encodeURIComponent(query.id)}`);
  drawQuery();
  drawCards();
  draw();
  $("status").textContent = query.gone ? `Your earlier choice was removed by cleaning: ${query.gone}. Choose again.` : "";
  window.scrollTo(0, 0);
  if (focus) $("cards").querySelector(".choose").focus({ preventScroll: true });
  const next = nextOpen(index);
  if (next !== null) prefetch(queries[next].id);
}

async function prefetch(id) {
  const detail = await detailOf(id).catch(() => null);
  for (const one of detail ? [detail, ...detail.candidates.slice(0, 8)] : []) new Image().src = `thumbnail/${one.image}`;
}

function drawQuery() {
  const { detail, project } = state;
  $("query-title").textContent = `Query ${detail.id} (${state.at + 1} of ${project.queries.length})`;
  const image = $("query-picture").firstElementChild;
  image.src = `image/${detail.image}`;
  image.width = detail.width || 4;
  image.height = detail.height || 3;
  image.alt = `Query ${detail.id}. Compare with the current candidate.`;
  $("query-facts").replaceChildren(...facts(detail));
}

function facts(one) {
  const size = one.width ? `${one.width} × ${one.height}` : "";
  const parts = [size, [one.license, one.creator].filter(Boolean).join(", ")].filter(Boolean).map((text) => new Text(text));
  if (one.link) {
    const link = Object.assign(document.createElement("a"), { href: one.link, target: "_blank", rel: "noopener noreferrer", textContent: "source" });
    parts.push(link);
  }
  return parts.flatMap((part, n) => (n ? [new Text(" · "), part] : [part]));
}

function numbers(one) {
  const words = [`similarity ${one.similarity.toFixed(2)}`];
  if (one.inliers) words.push(`${one.inliers} matches`);
  if (one.scale) words.push(`scale ${one.scale.toFixed(2)}`, `turned ${Math.round(one.rotation)}°`);
  if (one.overlap) words.push(`${Math.round(100 * one.overlap)} % shown`);
  return words.join(" · ");
}

function drawCategories() {
  const taken = new Set("xuncmsvz");
  for (const category of state.project.categories) {
    const letter = [...category].find((one) => !taken.has(one));
    const button = document.createElement("button");
    button.dataset.category = category;
    button.append(`${category} `);
    if (letter) {
      taken.add(letter);
      state.letters.set(letter, category);
      button.append(Object.assign(document.createElement("kbd"), { textContent: letter.toUpperCase() }));
    }
    button.addEventListener("click", () => decide("category", { category }));
    $("categories").append(button);
  }
  drawKeys();
}

function drawCards() {
  const cards = state.detail.candidates.map((one, n) => {
    const card = $("card").content.firstElementChild.cloneNode(true);
    const [picture, choose] = card.querySelectorAll("button");
    const image = picture.firstElementChild;
    image.src = `thumbnail/${one.image}`;
    image.alt = `Candidate ${n + 1}, ${numbers(one)}. Compare.`;
    image.addEventListener("error", () => {
      picture.replaceChildren(Object.assign(document.createElement("span"), { className: "broken", textContent: "This image cannot be shown: its file is missing or damaged." }));
    });
    card.querySelector(".rank").textContent = n + 1;
    card.querySelector(".facts").append(numbers(one), document.createElement("br"), ...facts(one));
    picture.addEventListener("click", () => compare(n));
    choose.setAttribute("aria-label", `Choose candidate ${n + 1}`);
    choose.addEventListener("click", () => choosing(n));
    card.addEventListener("focusin", () => (state.card = n));
    return card;
  });
  $("cards").replaceChildren(...cards);
  $("candidates-note").textContent = state.detail.candidates.length > 1 ? `${state.detail.candidates.length}, most similar first` : "";
}

function draw() {
  const { queries, lines } = state.project;
  const query = queries[state.at];
  const done = queries.filter(finished).length;
  $("bar").max = queries.length;
  $("bar").value = done;
  $("count").textContent = `${done} of ${queries.length} done`;
  $("undo").disabled = !lines;
  $("open-query").disabled = nextOpen(state.at) === null;
  $("reject").setAttribute("aria-pressed", query.rejected);
  for (const chip of $("categories").children) chip.setAttribute("aria-pressed", chip.dataset.category === category(query));
  $("categories").classList.toggle("wanted", Boolean(query.choice && !query.category));
  [...$("cards").querySelectorAll(".card")].forEach((card, n) => {
    const chosen = state.detail.candidates[n].image === query.choice;
    card.classList.toggle("chosen", chosen);
    mark(card.querySelector(".choose"), chosen);
  });
  if ($("compare").open) drawCompare();
}

const category = (query) => query.category || state.detail?.category || "";

function mark(button, chosen) {
  button.setAttribute("aria-pressed", chosen);
  button.textContent = chosen ? "Chosen ✓" : "Choose";
}

function choosing(n) {
  // The query's own category holds until somebody changes it; it is stored with the choice.
  decide("select", { choice: state.detail.candidates[n].image, category: category(state.project.queries[state.at]) });
}

const reject = () => decide("reject", { category: category(state.project.queries[state.at]) });
const undo = () => $("undo").disabled || decide("undo");

function step(by) {
  const { queries } = state.project;
  return show((state.at + by + queries.length) % queries.length, true);
}

function stepOpen() {
  const open = nextOpen(state.at);
  if (open !== null) show(open, true);
}

function focusCard(n) {
  const buttons = $("cards").querySelectorAll(".choose");
  state.card = Math.max(0, Math.min(n, buttons.length - 1));
  buttons[state.card].focus({ preventScroll: true });
  buttons[state.card].closest(".card").scrollIntoView({ block: "nearest" });
}

function columns() {
  const cards = [...$("cards").children];
  return cards.filter((card) => card.offsetTop === cards[0].offsetTop).length;
}

// ---- comparing: two panes, or one over the other

const view = { n: 0, mode: "side", matches: null, panes: [], goBack: true };

function open(pane, one) {
  pane.load(one);
  pane.image.onload = () => {
    [pane.width, pane.height] = [pane.image.naturalWidth, pane.image.naturalHeight];
    place();
  };
}

function compare(n) {
  Object.assign(view, { n, matches: null, goBack: true });
  const dialog = $("compare");
  if (!dialog.open) dialog.showModal();
  const [query, candidate] = view.panes;
  open(query, state.detail);
  open(candidate, state.detail.candidates[n]);
  query.image.alt = `Query ${state.detail.id}`;
  candidate.image.alt = `Candidate ${n + 1}`;
  $("compare-choose").focus({ preventScroll: true });
  setMode(view.mode);
}

function closeCompare(goBack = true) { // goBack: to the card that was compared
  if (!$("compare").open) return;
  view.goBack = goBack;
  $("compare").close();
}

function drawCompare() {
  const { candidates } = state.detail;
  const one = candidates[view.n];
  $("compare-title").textContent = `Candidate ${view.n + 1} of ${candidates.length}`;
  $("compare-facts").replaceChildren(numbers(one), " · ", ...facts(one));
  mark($("compare-choose"), one.image === state.project.queries[state.at].choice);
  $("compare-previous").disabled = view.n === 0;
  $("compare-next").disabled = view.n === candidates.length - 1;
}

async function setMode(mode) {
  view.mode = mode;
  $("stage").dataset.mode = mode;
  for (const button of document.querySelectorAll("[data-mode][aria-pressed]")) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  $("fade").hidden = mode !== "overlay";
  drawCompare();
  place();
  $("compare-note").textContent = "";
  const [query, { image }] = [state.detail.id, state.detail.candidates[view.n]];
  const over = $("pane-query").querySelector(".over");
  over.hidden = true;
  if (mode === "side") return;
  $("compare-note").textContent = "Looking for matches…";
  try {
    const matches = view.matches ?? await ask(`api/matches/${encodeURIComponent(query)}/${image}`);
    if (view.mode !== mode || state.detail.candidates[view.n]?.image !== image) return;
    view.matches = matches;
    $("compare-note").textContent = matchWords(matches, mode);
  } catch (error) {
    $("compare-note").textContent = error.message;
    return;
  }
  if (mode === "overlay") {
    over.onload = place;
    over.src = `image/${image}`;
    over.hidden = false;
  }
  place();
}

function matchWords({ inliers, lines, matrix }, mode) {
  if (mode === "overlay") return matrix ? `laid over by ${inliers} matches` : "no matches agree: stretched over the query";
  if (!inliers) return "no matches agree on one geometry";
  return inliers > lines.length ? `${lines.length} of ${inliers} matches` : `${inliers} matches`;
}

function place() {
  if (!$("compare").open) return;
  for (const pane of view.panes) pane.place();
  const over = $("pane-query").querySelector(".over");
  if (!over.hidden) {
    over.style.opacity = $("opacity").value / 100;
    over.style.transform = overTransform(over);
  }
  if (view.mode === "lines") drawLines();
}

function overTransform(over) {
  const [query] = view.panes;
  const m = view.matches?.matrix;
  if (!m) return `scale(${query.size[0] / (over.naturalWidth || 1)}, ${query.size[1] / (over.naturalHeight || 1)})`;
  const columns = [m[0][0], m[1][0], 0, m[2][0], m[0][1], m[1][1], 0, m[2][1], 0, 0, 1, 0, m[0][2], m[1][2], 0, m[2][2]];
  return `matrix3d(${columns.join(",")})`;
}

function drawLines() {
  const stage = $("stage").getBoundingClientRect();
  const shapes = [];
  const boxes = view.panes.map((pane) => pane.element.getBoundingClientRect());
  const shape = (name, values, colour) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
    element.setAttribute("stroke", colour);
    shapes.push(element);
  };
  (view.matches?.lines ?? []).forEach(([x1, y1, x2, y2], n) => {
    const colour = `hsl(${(n * 137.5) % 360} 95% 60%)`;
    const ends = [[x1, y1], [x2, y2]].map((point, which) => {
      const [x, y] = view.panes[which].toPane(point);
      const seen = x >= 0 && y >= 0 && x <= boxes[which].width && y <= boxes[which].height;
      const at = [x + boxes[which].left - stage.left, y + boxes[which].top - stage.top];
      if (seen) shape("circle", { cx: at[0], cy: at[1], r: 4 }, colour);
      return seen && at;
    });
    if (ends[0] && ends[1]) shape("line", { x1: ends[0][0], y1: ends[0][1], x2: ends[1][0], y2: ends[1][1] }, colour);
  });
  $("lines").replaceChildren(...shapes);
}

function partner(pane, point) { // the same place in the other pane's image: by the matches, or relatively
  const [query, candidate] = view.panes;
  const other = pane === query ? candidate : query;
  const m = view.matches?.matrix;
  if (m) {
    const [x, y, w] = apply(pane === query ? inverse(m) : m, point);
    if (Number.isFinite(x / w) && Number.isFinite(y / w)) return [other, [x / w, y / w]];
  }
  return [other, point.map((value, axis) => (value / pane.size[axis]) * other.size[axis])];
}

const apply = (m, [x, y]) => m.map((row) => row[0] * x + row[1] * y + row[2]);

function inverse([[a, b, c], [d, e, f], [g, h, i]]) { // up to a factor, which homogeneous coordinates do not mind
  return [[e * i - f * h, c * h - b * i, b * f - c * e], [f * g - d * i, a * i - c * g, c * d - a * f], [d * h - e * g, b * g - a * h, a * e - b * d]];
}

function zoomBy(factor, pane = view.panes[0], at = pane.middle) {
  const point = pane.toImage(at);
  const [other, there] = partner(pane, point);
  const largest = Math.max(...view.panes.map((one) => 16 / one.fit), 1);
  const zoom = Math.max(1, Math.min(largest, pane.zoom * factor));
  const change = zoom / pane.zoom;
  pane.zoom = zoom;
  other.zoom = Math.max(1, Math.min(largest, other.zoom * change));
  pane.look(point, at);
  other.look(there, at);
  finish();
}

function zoomOne(pane = view.panes[0], at = pane.middle) {
  if (view.panes.some((one) => one.zoom > 1)) {
    for (const one of view.panes) one.zoom = 1;
    return finish();
  }
  const point = pane.toImage(at);
  const [other, there] = partner(pane, point);
  for (const one of view.panes) one.zoom = Math.max(1, 1 / devicePixelRatio / one.fit);
  if (view.panes.every((one) => one.zoom === 1)) for (const one of view.panes) one.zoom = 2; // small photos: no change otherwise
  pane.look(point, at);
  other.look(there, at);
  finish();
}

function pan(dx, dy) {
  for (const pane of view.panes) pane.move(dx, dy);
  finish();
}

function finish() {
  for (const pane of view.panes) pane.settle();
  place();
}

function stepCompare(by) {
  const n = view.n + by;
  if (n < 0 || n >= state.detail.candidates.length) return;
  state.card = n;
  compare(n);
}

// ---- keys

const KEYS = [
  ["← → ↑ ↓", "to another candidate"],
  ["1 … 9", "to candidate 1 … 9"],
  ["Enter", "choose the candidate"],
  ["C", "compare: the query beside the candidate"],
  ["X", "no proper reference"],
  ["U", "take back the last click"],
  ["N", "next undecided query"],
  ["Shift ← →", "previous, next query"],
  ["S M V", "comparing: side by side, matches, overlay"],
  ["Z + −", "comparing: 1:1 or all, larger, smaller"],
  ["Shift ← ↑ → ↓", "comparing: move the picture"],
];

function drawKeys() {
  const letters = [...state.letters].map(([letter, name]) => [letter.toUpperCase(), name]);
  const entries = [...KEYS, [letters.map(([letter]) => letter).join(" "), letters.map(([, name]) => name).join(", ")]];
  $("keys").replaceChildren(...entries.flatMap(([keys, words]) => {
    const [key, text] = [document.createElement("dt"), document.createElement("dd")];
    key.append(...keys.split(" ").flatMap((one) => [Object.assign(document.createElement("kbd"), { textContent: one }), " "]));
    text.textContent = words;
    return [key, text];
  }));
}

function onKey(event) {
  if (["Enter", " "].includes(event.key) && event.repeat) return event.preventDefault(); // a key held down decides once
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !state.detail) return;
  if (event.target.matches("input, textarea, select") || $("help").open || $("naming").open) return;
  const act = (event.key.length === 1 ? $("letters").checked && !event.repeat : true) && action(event);
  if (!act) return;
  event.preventDefault();
  act();
}

function action({ key, shiftKey }) {
  const comparing = $("compare").open;
  const small = key.toLowerCase();
  const arrow = ARROWS[key];
  if (arrow && comparing) {
    if (shiftKey) return () => pan(-80 * arrow[0], -80 * arrow[1]);
    return arrow[0] ? () => stepCompare(arrow[0]) : null;
  }
  if (arrow) {
    if (shiftKey) return arrow[0] ? () => step(arrow[0]) : null;
    const onCard = document.activeElement?.closest(".card");
    if (!onCard) return arrow[0] ? () => focusCard(state.card) : null;
    return () => focusCard(state.card + arrow[0] + arrow[1] * columns());
  }
  if (comparing) {
    const keys = { s: () => setMode("side"), m: () => setMode("lines"), v: () => setMode("overlay"), z: () => zoomOne(), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), c: () => closeCompare() };
    if (keys[small]) return keys[small];
  } else {
    if (/^[1-9]$/.test(key)) return () => focusCard(Number(key) - 1);
    const keys = { c: () => compare(state.card), n: stepOpen, "?": () => $("help").showModal() };
    if (keys[small]) return keys[small];
  }
  if (small === "x") return reject;
  if (small === "u") return undo;
  const named = state.letters.get(small);
  return named && (() => decide("category", { category: named }));
}

// ---- who

function askName() {
  $("naming-problem").textContent = "";
  $("name").value = state.project.annotator ?? "";
  if (!$("naming").open) $("naming").showModal();
}

$("naming").addEventListener("cancel", (event) => state.project.annotator || event.preventDefault());
$("naming-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("api/name", { name: $("name").value });
    $("naming").close();
    await load();
  } catch (error) {
    $("naming-problem").textContent = error.message;
  }
});

// ---- wiring

view.panes = ["pane-query", "pane-candidate"].map((id) => new Pane($(id), 3));
for (const pane of view.panes) {
  listen(pane.element, { zoomBy: (factor, at) => zoomBy(factor, pane, at), zoomOne: (at) => zoomOne(pane, at), pan });
}
new ResizeObserver(place).observe($("stage"));
$("rename").addEventListener("click", askName);
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("reject").addEventListener("click", reject);
$("undo").addEventListener("click", undo);
$("open-query").addEventListener("click", stepOpen);
$("query-picture").addEventListener("click", () => compare(state.card));
$("open-help").addEventListener("click", () => $("help").showModal());
$("close-compare").addEventListener("click", () => closeCompare());
$("compare").addEventListener("close", () => view.goBack && focusCard(view.n));
$("compare-previous").addEventListener("click", () => stepCompare(-1));
$("compare-next").addEventListener("click", () => stepCompare(1));
$("compare-choose").addEventListener("click", () => choosing(view.n));
$("zoom-in").addEventListener("click", () => zoomBy(1.5));
$("zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
$("zoom-one").addEventListener("click", () => zoomOne());
$("opacity").addEventListener("input", place);
for (const button of document.querySelectorAll(".segments [data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
$("letters").checked = localStorage.getItem("letters") !== "off";
$("letters").addEventListener("change", () => localStorage.setItem("letters", $("letters").checked ? "on" : "off"));
document.addEventListener("keydown", onKey);

load(decodeURIComponent(location.hash.slice(1))).catch((error) => complain(error.message, () => location.reload()));
