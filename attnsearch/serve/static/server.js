// What is asked of the server, with the token that it wants.

const TOKEN = "attnsearch-token"; // the name of the page's own token, and of the one that the person has

// What the server refused: `status` of HTTP (0: there was no answer), its error object, seconds until it may be asked.
export class Refusal extends Error {
  constructor(status, { message, hint = "" }, patience = 0) {
    super(message);
    Object.assign(this, { status, hint, patience });
  }
}

// The JSON of an answer: `await ask("v1/query", { query: "moon" })`. Without a body it is a GET. Throws a Refusal.
export async function ask(path, body = null, { signal = null } = {}) {
  const token = sessionStorage.getItem(TOKEN) ?? document.querySelector(`meta[name="${TOKEN}"]`)?.content;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const request = body ? { method: "POST", body: JSON.stringify(body) } : {};
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { ...request, headers, signal, cache: "no-store" });
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new Refusal(0, { message: "the server does not answer" });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const patience = Number(response.headers.get("Retry-After")) || 1;
  throw new Refusal(response.status, answer?.error ?? { message: `the server answered ${response.status}` }, patience);
}

// Keeps the token that the person has, for this window.
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}
