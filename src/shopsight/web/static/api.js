// What the server is asked. Addresses are relative, so that the page works below any path.

export class Problem extends Error {
  constructor(status, message, after = 0) {
    super(message);
    this.status = status;
    this.after = after;
  }
}

async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server cannot be reached. Is it running, and are you online?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const said = await answer.json().catch(() => ({}));
  const sentence = said.detail || `The server answered with ${answer.status}.`;
  throw new Problem(answer.status, sentence, Number(answer.headers.get("retry-after")) || 0);
}

function parameters(filters, more) {
  const found = new URLSearchParams(more);
  for (const [field, value] of Object.entries(filters)) found.append("filter", `${field}=${value}`);
  return found;
}

const place = (id) => `products/${encodeURIComponent(id)}`;

export const photoOf = (id) => `${place(id)}/photo`;
export const facets = () => ask("facets").then((answer) => answer.facets);
export const info = () => ask("info");
export const product = (id, signal) => ask(place(id), { signal });
export const search = (q, k, filters, signal, explain = true) =>
  ask(`search?${parameters(filters, { q, k, explain })}`, { signal });
export const similar = (id, k, filters, signal) =>
  ask(`${place(id)}/similar?${parameters(filters, { k })}`, { signal });
export const searchPhoto = (photo, k, filters, signal) =>
  ask(`search/photo?${parameters(filters, { k })}`,
    { method: "POST", body: photo, headers: { "content-type": photo.type }, signal });
export const enter = (token) =>
  ask("session", { method: "POST", headers: { authorization: `Bearer ${token}` } });
export const click = (query, product) =>
  ask("clicks", { method: "POST", keepalive: true, headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, product }) }).catch(() => {});
