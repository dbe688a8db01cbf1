// HTTP API client. URLs are relative, so that the page works behind any path prefix.

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server cannot be reached. Is it running, and are you online?");
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const body = await response.json().catch(() => ({}));
  throw new Problem(response.status, body.detail || `The server answered with status ${response.status}.`);
}

export function toParameters(filters, others) {
  const parameters = new URLSearchParams(others);
  for (const [field, value] of Object.entries(filters)) parameters.append("filter", `${field}=${value}`);
  return parameters;
}

const productUrl = (id) => `products/${encodeURIComponent(id)}`;

export const photoUrl = (id) => `${productUrl(id)}/photo`;
export const facets = () => request("facets").then((body) => body.facets);
export const info = () => request("info");
export const product = (id, signal) => request(productUrl(id), { signal });
export const search = (q, k, filters, signal, explain = true) =>
  request(`search?${toParameters(filters, { q, k, explain })}`, { signal });
export const similar = (id, k, filters, signal) =>
  request(`${productUrl(id)}/similar?${toParameters(filters, { k })}`, { signal });
export const searchPhoto = (photo, k, filters, signal) =>
  request(`search/photo?${toParameters(filters, { k })}`,
    { method: "POST", body: photo, headers: { "content-type": photo.type }, signal });
export const startSession = (token) =>
  request("session", { method: "POST", headers: { authorization: `Bearer ${token}` } });
export const logClick = (query, product) =>
  request("clicks", { method: "POST", keepalive: true, headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, product }) }).catch(() => {});
