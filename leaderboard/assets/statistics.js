// The page of statistics shows one comparison at a time, and any two of its methods in words. Without this script, all
// comparisons follow one another.
"use strict";

(() => {
  const blocks = [...document.querySelectorAll("section.contest")];
  const form = by("choose");
  if (!form || !blocks.length) return;
  const select = {
    digest: by("choose-protocol"),
    dataset: by("choose-dataset"),
    metric: by("choose-metric"),
  };
  let current = blocks[0];

  // Returns the options of one select: every value among `within`, once.
  function fill(name, within, label = name) {
    const found = new Map(within.map((block) => [block.dataset[name], block.dataset[label]]));
    select[name].replaceChildren(
      ...[...found].map(([value, text]) => new Option(text, value, false, value === current.dataset[name])),
    );
    select[name].disabled = found.size < 2;
  }

  function show(block) {
    current = block;
    for (const other of blocks) other.hidden = other !== block;
    const same = blocks.filter((other) => other.dataset.digest === block.dataset.digest);
    fill("digest", blocks, "protocol");
    fill("dataset", same);
    fill("metric", same.filter((other) => other.dataset.dataset === block.dataset.dataset));
  }

  // Finds the comparison closest to the choices: the first one holds, the others as far as possible.
  function choose(changed) {
    const wanted = Object.fromEntries(Object.entries(select).map(([name, element]) => [name, element.value]));
    const fit = (block) =>
      ["digest", "dataset", "metric"].reduce(
        (sum, name) => sum + (block.dataset[name] === wanted[name] ? (name === changed ? 9 : name === "metric" ? 1 : 2) : 0),
        0,
      );
    show(blocks.reduce((best, block) => (fit(block) > fit(best) ? block : best)));
    history.replaceState(null, "", `#${current.id}`);
    by("chosen").textContent =
      `Shown: ${current.dataset.dataset}, ${current.dataset.metric}, protocol ${current.dataset.protocol}.`;
  }

  for (const [name, element] of Object.entries(select)) element.addEventListener("change", () => choose(name));
  const asked = () => blocks.find((block) => addressed().has(block.id));
  addEventListener("hashchange", () => {
    const block = asked();
    if (block) show(block);
  });

  for (const block of blocks) {
    const versus = block.querySelector("form.versus");
    const table = block.querySelector("table.wins");
    const { a, b } = versus.elements;
    const k = a.options.length;
    const answer = versus.querySelector(".answer");
    let sentences = null;

    const tell = () => {
      table.querySelectorAll("td.picked").forEach((cell) => cell.classList.remove("picked"));
      const [i, j] = [Number(a.value), Number(b.value)];
      if (i === j) {
        answer.textContent = "Choose two different methods.";
        return;
      }
      sentences ??= JSON.parse(block.querySelector("script.sentences").textContent);
      const [first, second] = [Math.min(i, j), Math.max(i, j)];
      answer.textContent = sentences[(first * (2 * k - first - 1)) / 2 + second - first - 1];
      table.tBodies[0].rows[i].cells[j + 1].classList.add("picked");
    };
    a.addEventListener("change", tell);
    b.addEventListener("change", tell);
    table.classList.add("live");
    table.tBodies[0].addEventListener("click", (event) => {
      const cell = event.target.closest("td");
      if (!cell || cell.classList.contains("self")) return;
      a.value = String(cell.parentElement.sectionRowIndex);
      b.value = String(cell.cellIndex - 1);
      tell();
    });
    for (const each of [versus, form]) each.addEventListener("submit", (event) => event.preventDefault());
    versus.hidden = false;
    tell();
  }

  by("contents").hidden = true;
  form.hidden = false;
  show(asked() ?? blocks[0]);
  if (asked()) current.scrollIntoView();
})();
