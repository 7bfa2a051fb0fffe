// What the project's local pages share: talking to their server, and hands on a picture.

export const $ = (id) => document.getElementById(id);

// The answer to GET path, or to POST path where there is a body; an error has the server's words and its status.
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

// Says what went wrong, with a button where trying again may help; "" takes it back.
export function complain(message, retry) {
  again = retry ?? null;
  $("alert").hidden = !message;
  $("alert").firstElementChild.textContent = message;
  $("retry").hidden = !retry;
}

$("retry").addEventListener("click", () => again?.());

// Wheel, double click, drag and pinch on an element: calls zoomBy(factor, at), zoomOne(at), pan(dx, dy), in its pixels.
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
