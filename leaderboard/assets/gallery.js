// The page of an image: a divider between two pictures, one zoom for all, error maps, close-ups. The address
// keeps all of it. Pages opened from a disk may draw their own pictures but not read them; parts that need pixels say so.
"use strict";

(() => {
  const MOST = 32;

  const scenes = [...document.querySelectorAll("section.scene")].map((section) => ({
    section,
    key: section.id,
    width: Number(section.dataset.width),
    height: Number(section.dataset.height),
    crop: section.dataset.crop.split(",").map(Number),
    panels: [...section.querySelectorAll(".shot[data-key]")].map((figure) => {
      const image = figure.querySelector("img");
      return {
        figure, image, key: figure.dataset.key, name: figure.dataset.name, line: figure.dataset.line || "",
        part: figure.dataset.part || "",
        plain: image.getAttribute("src"), error: image.dataset.error || "", apart: figure.classList.contains("apart"),
      };
    }),
  }));
  if (!scenes.length) return;

  const protocol = by("protocol");
  const [left, right, errors, status] = ["left", "right", "errors", "status"].map(by);
  const view = { z: 1, cx: 0.5, cy: 0.5 };
  let split = 50;
  let scene = scenes[0];
  let box = scene.crop.slice();
  let drawing = false;

  // -- the stage: two pictures, one above the other ---------------------------------------------------------------

  const [stage, frame, handle] = ["stage", "frame", "handle"].map(by);
  const [under, over] = [...stage.querySelectorAll(".layer")].map((layer) => (
    layer.appendChild(make("img", { alt: "", draggable: false }))));
  const names = { a: by("name-left"), b: by("name-right") };

  const panel = (key) => scene.panels.find((item) => item.key === key) || scene.panels[0];
  const source = (item) => (errors.checked && item.error ? item.error : item.plain);

  const divide = (next) => {
    split = clamp(next, 0, 100);
    stage.style.setProperty("--split", `${split}%`);
    handle.setAttribute("aria-valuenow", String(Math.round(split)));
    handle.setAttribute("aria-valuetext", `${Math.round(split)} % ${names.a.textContent}`);
  };
  const paintView = () => {
    view.z = clamp(view.z, 1, MOST);
    const half = 0.5 / view.z;
    view.cx = clamp(view.cx, half, 1 - half);
    view.cy = clamp(view.cy, half, 1 - half);
    const root = document.documentElement.style;
    root.setProperty("--z", String(view.z));
    root.setProperty("--x", `${(50 - 100 * view.cx * view.z).toFixed(4)}%`);
    root.setProperty("--y", `${(50 - 100 * view.cy * view.z).toFixed(4)}%`);
    document.body.classList.toggle("zoomed", view.z > 1);
    document.body.classList.toggle("crisp", view.z * stage.clientWidth > 1.9 * scene.width);
    for (const id of ["out", "fit"]) by(id).disabled = view.z <= 1;
    by("in").disabled = view.z >= MOST;
    paintBox();
  };
  const paintBox = () => {
    const [x, y, w, h] = box;
    const place = (value, whole, centre) => `${100 * ((value / whole - centre) * view.z + 0.5)}%`;
    frame.style.left = place(x, scene.width, view.cx);
    frame.style.top = place(y, scene.height, view.cy);
    frame.style.width = `${(100 * w * view.z) / scene.width}%`;
    frame.style.height = `${(100 * h * view.z) / scene.height}%`;
  };
  const paintPictures = () => {
    const [a, b] = [panel(left.value), panel(right.value)];
    over.src = source(a);
    under.src = source(b);
    names.a.textContent = a.line ? `${a.name}, ${a.line}` : a.name;
    names.b.textContent = b.line ? `${b.name}, ${b.line}` : b.name;
    for (const item of scene.panels) if (item.image.getAttribute("src") !== source(item)) item.image.src = source(item);
    stage.style.aspectRatio = `${scene.width} / ${scene.height}`;
    stage.style.width = `min(100%, ${scene.width * 3}px, ${(78 * scene.width) / scene.height}vh)`;
    divide(split);
    paintView();
  };

  // -- the address ------------------------------------------------------------------------------------------------

  let timer = 0;
  const address = () => {
    const state = new URLSearchParams();
    if (scenes.length > 1) state.set("p", scene.key);
    state.set("a", left.value);
    state.set("b", right.value);
    state.set("s", String(Math.round(split)));
    if (view.z > 1) state.set("v", [view.z, view.cx, view.cy].map((value) => value.toFixed(4)).join(","));
    if (errors.checked) state.set("e", "1");
    if (box.join() !== scene.crop.join()) state.set("c", box.join(","));
    return state;
  };
  const keep = () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", `#${address()}`), 120);
  };
  const numbers = (text, count) => {
    const found = (text || "").split(",").map(Number);
    return found.length === count && found.every(Number.isFinite) ? found : null;
  };
  const read = () => {
    const state = addressed();
    const wanted = state.get("p") || location.hash.slice(1);
    choose(scenes.find((item) => item.key === wanted) || scenes[0], state.get("a"), state.get("b"));
    split = clamp(Number(state.get("s") || 50) || 0, 0, 100);
    [view.z, view.cx, view.cy] = numbers(state.get("v"), 3) || [1, 0.5, 0.5];
    errors.checked = state.get("e") === "1";
    box = fitted(numbers(state.get("c"), 4) || scene.crop);
    paintPictures();
    closeups();
  };

  const choose = (next, a, b) => {
    scene = next;
    for (const item of scenes) item.section.hidden = item !== scene;
    if (protocol) protocol.value = scene.key;
    const usable = scene.panels.filter((item) => !item.apart);
    const pick = (select, key, fallback) => {
      select.replaceChildren(...usable.map((item) => make("option", { value: item.key, textContent: item.name })));
      select.value = usable.some((item) => item.key === key) ? key : fallback;
    };
    const methods = usable.filter((item) => item.key !== "hr" && item.key !== "lr");
    const best = methods.reduce((x, y) => (parseFloat(y.line) > parseFloat(x.line) ? y : x), methods[0]);
    const first = methods.find((item) => item !== best) || usable[0];
    pick(left, a, scene.section.dataset.left || first.key);
    pick(right, b, scene.section.dataset.right || best.key);
    errors.disabled = !scene.panels.some((item) => item.error);
    setDrawing(false);
    tools = scene.tools;
    fields = tools ? tools.inputs : [];
  };

  // -- pointers and keys ------------------------------------------------------------------------------------------

  const surface = (target) => {
    const found = target.closest(".stage, .shot:not(.apart) > .view");
    return found && (found === stage || scene.section.contains(found)) ? found : null;
  };
  const look = (next) => { // at another part, or closer
    Object.assign(view, next);
    paintView();
    keep();
  };
  const zoom = (factor, fx = 0.5, fy = 0.5) => {
    const z = clamp(view.z * factor, 1, MOST);
    const less = 1 / view.z - 1 / z; // what lies below the pointer stays there
    look({ z, cx: view.cx + (fx - 0.5) * less, cy: view.cy + (fy - 0.5) * less });
  };
  const at = (element, event) => {
    const area = element.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  const pointers = new Map();
  let moved = 0;
  let start = null;

  const pixel = (event) => {
    const [fx, fy] = at(stage, event);
    return [
      clamp(Math.round(((fx - 0.5) / view.z + view.cx) * scene.width), 0, scene.width),
      clamp(Math.round(((fy - 0.5) / view.z + view.cy) * scene.height), 0, scene.height),
    ];
  };
  document.addEventListener("pointerdown", (event) => {
    const element = surface(event.target);
    if (!element || event.button > 0) return;
    pointers.set(event.pointerId, event);
    moved = 0;
    const divide = event.target === handle || (element === stage && view.z <= 1);
    start = { element, divide, corner: drawing && element === stage ? pixel(event) : null };
    if (element === stage) {
      element.setPointerCapture(event.pointerId);
      if (event.target === handle) handle.focus(); else event.preventDefault();
    }
  });
  document.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId) || !start) return;
    const before = pointers.get(event.pointerId);
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    moved += Math.abs(dx) + Math.abs(dy);
    const area = start.element.getBoundingClientRect();
    if (pointers.size === 2) {
      const other = [...pointers.values()].find((item) => item.pointerId !== event.pointerId);
      const span = (item) => Math.hypot(item.clientX - other.clientX, item.clientY - other.clientY);
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      view.cx -= dx / 2 / area.width / view.z;
      view.cy -= dy / 2 / area.height / view.z;
      zoom(span(event) / Math.max(1, span(before)), ...at(start.element, middle));
    } else if (start.corner) {
      const [x, y] = pixel(event);
      const [a, b] = start.corner;
      box = fitted([Math.min(a, x), Math.min(b, y), Math.abs(x - a), Math.abs(y - b)]);
      paintBox();
    } else if (start.divide) {
      divide(100 * at(stage, event)[0]);
      keep();
    } else if (view.z > 1) {
      look({ cx: view.cx - dx / area.width / view.z, cy: view.cy - dy / area.height / view.z });
    }
    pointers.set(event.pointerId, event);
  });
  const lift = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    if (start && start.corner && moved > 4) {
      setDrawing(false);
      keep();
      closeups();
    } else if (start && start.divide && moved <= 4 && event.type === "pointerup" && event.target !== handle) {
      divide(100 * at(stage, event)[0]);
      keep();
    }
    start = null;
  };
  document.addEventListener("pointerup", lift);
  document.addEventListener("pointercancel", lift);
  document.addEventListener("click", (event) => { // a drag that ends on a link is no click on it
    if (moved > 4 && event.target instanceof Element && surface(event.target)) event.preventDefault();
    moved = 0;
  }, true);
  document.addEventListener("dragstart", (event) => {
    if (event.target instanceof Element && surface(event.target)) event.preventDefault();
  });
  document.addEventListener("wheel", (event) => {
    const element = event.target instanceof Element && surface(event.target);
    if (!element || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    zoom(Math.exp(-clamp(event.deltaY, -200, 200) / 250), ...at(element, event));
  }, { passive: false });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const step = event.shiftKey ? 10 : 2;
    const pan = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.target === handle && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
      divide({ Home: 0, End: 100 }[event.key] ?? split + step * pan[0]);
      keep();
    } else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") whole();
    else if (event.key === "Escape" && drawing) setDrawing(false);
    else if (pan && view.z > 1 && surface(event.target)) {
      look({ cx: view.cx + (0.1 * pan[0]) / view.z, cy: view.cy + (0.1 * pan[1]) / view.z });
    } else return;
    event.preventDefault();
  });
  const whole = () => look({ z: 1, cx: 0.5, cy: 0.5 });

  // -- close-ups --------------------------------------------------------------------------------------------------

  const fitted = ([x, y, w, h]) => {
    const width = clamp(Math.round(w) || 0, 8, scene.width);
    const height = clamp(Math.round(h) || 0, 8, scene.height);
    return [clamp(Math.round(x) || 0, 0, scene.width - width), clamp(Math.round(y) || 0, 0, scene.height - height), width, height];
  };
  let tools = null; // of the scene's close-ups: the elements of its .croptools
  let fields = [];
  const setDrawing = (on) => {
    drawing = on;
    document.body.classList.toggle("drawing", on);
    if (tools) {
      tools.draw.setAttribute("aria-pressed", String(on));
      tools.draw.textContent = on ? "Drag on the picture above …" : "Choose another part";
    }
    if (on) {
      frame.hidden = false;
      stage.scrollIntoView({ block: "nearest" });
      status.textContent = "Drag a rectangle on the compared picture; Escape leaves it as it is.";
    } else status.textContent = "";
  };
  const chooseBox = (next) => {
    box = fitted(next);
    keep();
    closeups();
  };
  const prepareTools = ({ section, crop }) => {
    const place = section.querySelector(".croptools");
    if (!place) return null;
    const [draw, again, save, list, note] = [".draw", ".again", ".save", ".closeups", ".hint"].map((name) => place.querySelector(name));
    const inputs = [...place.querySelectorAll("input")];
    draw.addEventListener("click", () => setDrawing(!drawing));
    again.addEventListener("click", () => chooseBox(crop));
    save.addEventListener("click", download);
    for (const input of inputs) input.addEventListener("change", () => chooseBox(inputs.map((field) => Number(field.value))));
    place.hidden = false;
    return { draw, save, list, note, inputs, still: section.querySelector(".still") };
  };

  const ready = async (image) => {
    const copy = new Image();
    copy.src = image.plain;
    await copy.decode();
    return copy;
  };
  const luma = (context, w, h) => {
    const { data } = context.getImageData(0, 0, w, h);
    const found = new Float64Array(w * h);
    for (let i = 0; i < found.length; i += 1) {
      found[i] = 16 + (65.481 * data[4 * i] + 128.553 * data[4 * i + 1] + 24.966 * data[4 * i + 2]) / 255;
    }
    return found;
  };
  const psnr = (a, b) => {
    const sum = a.reduce((total, value, i) => total + (value - b[i]) ** 2, 0) / a.length;
    return sum ? `${(10 * Math.log10(255 ** 2 / sum)).toFixed(2)} dB` : "∞ dB";
  };

  let turn = 0;
  let shots = [];
  const closeups = async () => {
    paintBox();
    if (!tools) return;
    const mine = ++turn;
    const here = tools;
    const [x, y, w, h] = box;
    fields.forEach((field, index) => { field.value = String(box[index]); });
    const own = box.join() !== scene.crop.join();
    frame.hidden = !own && !drawing;
    const shown = scene.panels.filter((item) => item.key !== "lr");
    const made = await Promise.all(shown.map(async (item) => {
      const canvas = make("canvas", { width: w, height: h });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${item.name}: x ${x}, y ${y}, ${w} × ${h} pixels`);
      try {
        const image = await ready(item);
        // In a site of thumbnails, the pictures are smaller than the images they represent.
        const factor = image.naturalWidth / scene.width;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.imageSmoothingEnabled = factor !== 1;
        context.drawImage(image, x * factor, y * factor, w * factor, h * factor, 0, 0, w, h);
      } catch {
        return null;
      }
      return { item, canvas, line: !own && item.part ? item.part : item.line ? `${item.line}, whole image` : "" };
    }));
    if (mine !== turn) return;
    shots = made.filter(Boolean);
    let readable = true;
    const hr = shots.find((shot) => shot.item.key === "hr");
    try {
      const truth = shots.length && luma((hr || shots[0]).canvas.getContext("2d"), w, h);
      if (hr) for (const shot of shots) if (shot !== hr) shot.line = psnr(luma(shot.canvas.getContext("2d"), w, h), truth);
    } catch { // SecurityError: this page came from a disk
      readable = false;
    }
    here.list.replaceChildren(...shots.map((shot) => make("li", {}, shot.canvas,
      make("b", { textContent: shot.item.name }), make("span", { textContent: shot.line }))));
    here.save.disabled = !readable;
    here.note.textContent = !hr ? "" : readable || !own
      ? "PSNR of luma (BT.601) in the part shown."
      : "A page opened from a disk may show its pictures but not read them: PSNR is that of the whole image.";
    if (!readable) {
      here.note.textContent += " Downloading a part of your choice needs the page to come from a server (python -m http.server).";
    }
    if (here.still) {
      here.still.hidden = own;
      here.still.querySelector(".whole").hidden = true; // the same as the close-ups above, which can be changed
    }
  };

  const download = () => {
    const [, , w, h] = box;
    const tile = 220;
    const high = Math.round((tile * h) / w);
    const columns = Math.min(shots.length, 6);
    const rows = Math.ceil(shots.length / columns);
    const canvas = make("canvas", { width: columns * (tile + 12) - 12, height: rows * (high + 52) });
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = false;
    context.textAlign = "center";
    shots.forEach((shot, n) => {
      const [a, b] = [(n % columns) * (tile + 12), Math.floor(n / columns) * (high + 52)];
      context.drawImage(shot.canvas, a, b, tile, high);
      context.fillStyle = "#1b1b1a";
      context.font = "15px Helvetica, Arial, sans-serif";
      context.fillText(shot.item.name, a + tile / 2, b + high + 18, tile);
      context.fillStyle = "#63625c";
      context.font = "13px Helvetica, Arial, sans-serif";
      context.fillText(shot.line, a + tile / 2, b + high + 36, tile);
    });
    canvas.toBlob((blob) => offer(blob, `close-up-${box.join("-")}.png`));
  };

  // -- controls ---------------------------------------------------------------------------------------------------

  for (const control of [left, right, errors]) control.addEventListener("change", () => { paintPictures(); keep(); });
  if (protocol) {
    protocol.addEventListener("change", () => {
      choose(scenes.find((item) => item.key === protocol.value), left.value, right.value);
      box = fitted(box);
      paintPictures();
      closeups();
      keep();
    });
  }
  by("in").addEventListener("click", () => zoom(1.5));
  by("out").addEventListener("click", () => zoom(1 / 1.5));
  by("fit").addEventListener("click", whole);
  by("link").addEventListener("click", async () => {
    const link = `${location.href.split("#")[0]}#${address()}`;
    history.replaceState(null, "", link);
    status.textContent = (await copied(link)) ? "The link is copied." : "The link is in the address bar.";
  });
  const carry = (event) => { // to the neighbour with the same two methods
    const link = event.target.closest("#previous, #next");
    if (!link) return;
    const state = address();
    for (const name of ["v", "c"]) state.delete(name);
    link.href = `${link.getAttribute("href").split("#")[0]}#${state}`;
  };
  document.addEventListener("click", carry);
  window.addEventListener("resize", paintView);
  window.addEventListener("hashchange", read);
  for (const item of scenes) for (const { figure, apart } of item.panels) if (!apart) figure.querySelector(".view").classList.add("zoomable");
  for (const item of scenes) item.tools = prepareTools(item);
  by("tools").hidden = false;
  read();
})();
