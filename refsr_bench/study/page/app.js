// The study's page. An answer is shown as given only once it is saved: every choice waits for the server.

import { $, ARROWS, Pane, all, ask, complain, listen } from "./base.js";

const SCREENS = ["welcome", "trial", "paused", "thanks"];
const state = { study: null, person: null, shown: null, since: 0, busy: false };

async function attempt(path, body, words) {
  if (state.busy) return;
  state.busy = true;
  try {
    const person = await ask(path, body);
    complain("");
    await settle(person, words);
  } catch (error) {
    if (error.status === 409 && state.person && path !== "api/resume") {
      state.busy = false;
      await resume();
      complain(`Not saved. ${error.message}`);
    } else {
      const wants = path === "api/vote" || path === "api/undo" ? "Not saved. " : "";
      complain(wants + error.message, error.status === 409 ? null : () => attempt(path, body, words));
    }
  }
  state.busy = false;
}

// ---- screens

function screen(name, focus) {
  for (const one of SCREENS) $(one).hidden = one !== name;
  const inside = name !== "welcome";
  $("progress").hidden = !inside;
  $("who").hidden = !inside;
  $("open-help").hidden = name !== "trial";
  if (focus) $(focus).focus({ preventScroll: true });
}

async function settle(person, words = "") {
  const first = state.person?.participant !== person.participant || $("trial").hidden;
  state.person = person;
  sessionStorage.setItem("participant", person.participant);
  for (const one of all(".code")) one.textContent = person.participant;
  $("bar").max = person.total;
  $("bar").value = person.done;
  $("count").textContent = `${person.done} of ${person.total} answered`;
  $("undo").disabled = person.last === null;
  $("undo-last").disabled = person.last === null;
  $("status").textContent = words;
  if (!person.trial) return screen("thanks", "thanks-title");
  screen("trial", first ? "trial-title" : null);
  await show(person.trial);
  for (const next of person.coming) {
    for (const side of ["left", "right", "reference"]) if (next[side]) new Image().src = `image/${next[side].image}`;
  }
}

async function show(trial) {
  hold();
  $("stage").classList.add("waiting");
  const loads = [];
  for (const pane of panes) {
    const one = trial[pane.element.dataset.side];
    pane.element.hidden = !one;
    if (!one) continue;
    pane.load(one);
    loads.push(pane.image.decode());
  }
  try {
    await Promise.all(loads);
  } catch {
    return complain("An image cannot be shown. The server may have been started anew: open the page by the address it printed, then enter your code.", resume);
  }
  place();
  $("stage").classList.remove("waiting");
  ready(trial.number);
  state.since = performance.now();
}

// Waiting buttons keep the focus: they are marked as disabled for screen readers only.
function ready(number) {
  state.shown = number;
  for (const button of all(".choice")) button.setAttribute("aria-disabled", number === null);
}

const hold = () => ready(null);

async function choose(choice) {
  if (state.shown === null || state.busy || $("trial").hidden) return;
  const milliseconds = Math.min(86400000, Math.round(performance.now() - state.since));
  const request = { participant: state.person.participant, trial: state.shown, choice, milliseconds };
  hold();
  await attempt("api/vote", request, "Saved.");
  if (state.shown === null && !$("alert").hidden && !$("retry").hidden) ready(request.trial); // not saved: choose again
}

function undo() {
  if (!state.person || state.person.last === null) return;
  attempt("api/undo", { participant: state.person.participant, trial: state.person.last }, "Taken back: choose again.");
}

function pause() {
  if ($("trial").hidden) return;
  hold();
  screen("paused", "paused-title");
}

const resume = () => attempt("api/resume", { participant: state.person.participant }, "");

// ---- the images: all panes show the same part, equally large

function place() {
  for (const pane of panes) if (!pane.element.hidden) pane.place();
}

function zoomTo(zoom, pane = panes[0], at = pane.middle) {
  const point = pane.toImage(at);
  pane.zoom = Math.max(1, Math.min(Math.max(1, 16 / pane.fit), zoom));
  pane.look(point, at);
  follow(pane);
}

const zoomBy = (factor, pane = panes[0], at = pane.middle) => zoomTo(pane.zoom * factor, pane, at);

function zoomOne(pane = panes[0], at = pane.middle) {
  const one = 1 / devicePixelRatio / pane.fit;
  zoomTo(pane.zoom > 1 ? 1 : one > 1 ? one : 2, pane, at); // small images: twice as large
}

function pan(dx, dy, pane = panes[0]) {
  pane.move(dx, dy);
  follow(pane);
}

function follow(pane) {
  pane.settle();
  for (const one of panes) Object.assign(one, { zoom: pane.zoom, centre: pane.centre });
  place();
}

// ---- keys

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if ($("trial").hidden || $("help").open || event.target.matches("input")) return;
  const arrow = ARROWS[event.key];
  const move = arrow && event.shiftKey && (() => pan(-80 * arrow[0], -80 * arrow[1]));
  const larger = () => zoomBy(1.5);
  const act = move || {
    ArrowLeft: () => choose("left"), ArrowRight: () => choose("right"),
    ArrowDown: state.study.ties ? () => choose("tie") : null,
    u: undo, p: pause, z: () => zoomOne(), "+": larger, "=": larger, "-": () => zoomBy(1 / 1.5),
    "?": () => $("help").showModal(),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  if (!event.repeat || move) act(); // a key held down answers once
}

// ---- wiring

const panes = all(".pane").map((element) => new Pane(element));
for (const pane of panes) {
  listen(pane.element, {
    zoomBy: (factor, at) => zoomBy(factor, pane, at),
    zoomOne: (at) => zoomOne(pane, at),
    pan: (dx, dy) => pan(dx, dy, pane),
  });
}
new ResizeObserver(place).observe($("stage"));
for (const button of all(".choice")) button.addEventListener("click", () => choose(button.dataset.choice));
$("undo").addEventListener("click", undo);
$("undo-last").addEventListener("click", undo);
$("pause").addEventListener("click", pause);
$("continue").addEventListener("click", resume);
$("another").addEventListener("click", () => {
  sessionStorage.removeItem("participant");
  location.reload();
});
$("zoom-in").addEventListener("click", () => zoomBy(1.5));
$("zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
$("zoom-one").addEventListener("click", () => zoomOne());
$("open-help").addEventListener("click", () => $("help").showModal());
$("begin-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt("api/join", {}, "");
});
$("resume-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt("api/resume", { participant: $("code").value }, "");
});
document.addEventListener("keydown", onKey);

async function begin() {
  const study = await ask("api/study");
  state.study = study;
  document.title = study.title;
  $("title").textContent = study.title;
  for (const one of all(".question")) one.textContent = study.question;
  $("total").textContent = study.total;
  $("minutes").textContent = study.minutes === 1 ? "a minute" : `${study.minutes} minutes`;
  const words = { hr: ["Original", "Between them stands the original, for comparison."], ref: ["Related photo", "Between them stands another photo of the same thing."] }[study.reference];
  $("about-reference").hidden = !words;
  if (words) {
    $("about-reference").textContent = words[1];
    const pane = panes.find((one) => one.element.dataset.side === "reference");
    pane.element.querySelector("span").textContent = words[0];
    pane.image.alt = words[0];
  }
  document.querySelector('[data-choice="tie"]').hidden = !study.ties;
  for (const one of all("#keys .tie")) one.hidden = !study.ties;
  const participant = sessionStorage.getItem("participant");
  if (participant) {
    await attempt("api/resume", { participant }, "");
    if (state.person) return;
  }
  screen("welcome");
}

begin().catch((error) => complain(error.message, () => location.reload()));
