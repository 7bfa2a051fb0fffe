// The parts that the project's local pages share: requests to their server, pictures in panes, gestures on a picture.

export const $ = (id) => document.getElementById(id);
export const all = (selector) => [...document.querySelectorAll(selector)];
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Returns the answer to GET path, or to POST path if there is a body; an error has the server's message and status.
export async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is the command still running?");
  }
  if (!answer.ok) {
    const error = new Error((await answer.text()).slice(0, 500) || `The server refused (${answer.status}).`);
    error.status = answer.status;
    throw error;
  }
  return answer.json();
}

let again = null; // what "Try again" does

// Shows what went wrong, with a button if trying again may help; "" hides it.
export function complain(message, retry) {
  again = retry ?? null;
  $("alert").hidden = !message;
  $("alert").firstElementChild.textContent = message;
  $("retry").hidden = !retry;
}

$("retry").addEventListener("click", () => again?.());

// A picture in a box of the page. element: the box, which holds .layer > img; crisp: screen pixels per image pixel from
// which pixels are drawn as squares. zoom: 1 shows all of the picture; centre: of the visible part, relative to the picture.
export class Pane {
  constructor(element, crisp = 2) {
    Object.assign(this, { element, crisp, width: 1, height: 1, zoom: 1, centre: [0.5, 0.5] });
    this.layer = element.querySelector(".layer");
    this.image = this.layer.querySelector("img");
  }
  get size() { return [this.width || 1, this.height || 1]; }
  get room() { return [this.element.clientWidth, this.element.clientHeight]; }
  get middle() { return this.room.map((room) => room / 2); }
  get fit() { return Math.min(this.room[0] / this.size[0], this.room[1] / this.size[1]) || 1; }
  get scale() { return this.fit * this.zoom; }
  get origin() { // where the picture's corner lies: the centre in the middle, but no empty border that need not be
    return this.room.map((room, axis) => {
      const length = this.size[axis] * this.scale;
      if (length <= room) return (room - length) / 2;
      return Math.max(room - length, Math.min(0, room / 2 - this.centre[axis] * length));
    });
  }
  load({ image, width, height }) {
    Object.assign(this, { width, height, zoom: 1, centre: [0.5, 0.5] });
    this.image.src = `image/${image}`;
  }
  toImage([x, y]) { // box to image pixels
    const [left, top] = this.origin;
    return [(x - left) / this.scale, (y - top) / this.scale];
  }
  toPane([x, y]) {
    const [left, top] = this.origin;
    return [left + x * this.scale, top + y * this.scale];
  }
  look(point, at) { // the image's point comes to lie at this place of the box
    this.centre = point.map((value, axis) => (value + (this.middle[axis] - at[axis]) / this.scale) / this.size[axis]);
  }
  move(...by) {
    this.centre = this.centre.map((value, axis) => value - by[axis] / this.scale / this.size[axis]);
  }
  settle() { // forget what the borders did not allow
    this.centre = this.toImage(this.middle).map((value, axis) => value / this.size[axis]);
  }
  place() {
    const [left, top] = this.origin;
    this.layer.style.transform = `translate(${left}px, ${top}px) scale(${this.scale})`;
    this.layer.classList.toggle("pixels", this.scale * devicePixelRatio >= this.crisp);
  }
}

// Turns wheel, double click, drag and pinch on an element into zoomBy(factor, at), zoomOne(at), pan(dx, dy), in pixels.
export function listen(element, { zoomBy, zoomOne, pan }) {
  const fingers = new Map();
  const inside = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 250), inside(event));
  }, { passive: false });
  element.addEventListener("dblclick", (event) => zoomOne(inside(event)));
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, inside(event));
  });
  element.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = inside(event);
    const still = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, now);
    if (!still) return pan(now[0] - before[0], now[1] - before[1]);
    const spread = (point) => Math.hypot(point[0] - still[0], point[1] - still[1]) || 1;
    zoomBy(spread(now) / spread(before), [(now[0] + still[0]) / 2, (now[1] + still[1]) / 2]);
  });
  for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
