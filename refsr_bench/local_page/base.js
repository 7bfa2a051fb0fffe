// What the project's local pages share: talking to their server.

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
