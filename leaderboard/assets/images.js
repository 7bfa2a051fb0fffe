// The list of images: search and order, kept in the address.
"use strict";

(() => {
  const [search, order, status] = ["search", "order", "status"].map(by);
  const sets = [...document.querySelectorAll("section.set")].map((section) => ({
    section,
    title: section.dataset.title.toLowerCase(),
    list: section.querySelector("ul"),
    tiles: [...section.querySelectorAll("li")].map((tile) => ({
      tile, id: tile.dataset.id.toLowerCase(), psnr: tile.dataset.psnr === "" ? null : Number(tile.dataset.psnr),
    })),
  }));
  const whole = sets.reduce((sum, set) => sum + set.tiles.length, 0);

  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { section, title, list, tiles } of sets) {
      const sign = { hard: 1, easy: -1 }[order.value];
      const sorted = sign
        ? [...tiles].sort((a, b) => (a.psnr === null) - (b.psnr === null) || sign * (a.psnr - b.psnr))
        : tiles;
      list.append(...sorted.map(({ tile }) => tile));
      let here = 0;
      for (const { tile, id } of tiles) {
        tile.hidden = !words.every((word) => id.includes(word) || title.includes(word));
        here += !tile.hidden;
      }
      section.hidden = here === 0;
      shown += here;
    }
    status.textContent = shown === whole ? "" : `${shown} of ${whole} images`;
    const state = new URLSearchParams();
    if (search.value.trim()) state.set("q", search.value.trim());
    if (order.value) state.set("order", order.value);
    history.replaceState(null, "", `#${state}`.replace(/^#$/, location.pathname + location.search));
  };

  const read = () => {
    const state = addressed();
    search.value = state.get("q") || "";
    order.value = ["hard", "easy"].includes(state.get("order")) ? state.get("order") : "";
    show();
  };
  search.addEventListener("input", show);
  order.addEventListener("change", show);
  window.addEventListener("hashchange", read);
  by("find").hidden = false;
  read();
})();
