// HTTP API client. URLs are relative, so that the page works behind any path prefix.

import { filterParameters } from "./state.js";

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

const JSON_BODY = { "content-type": "application/json" };
const productUrl = (id) => `products/${encodeURIComponent(id)}`;

export const photoUrl = (id) => `${productUrl(id)}/photo`;
export const facets = () => request("facets").then((body) => body.facets);
export const info = () => request("info");
export const product = (id, signal) => request(productUrl(id), { signal });
// page: {k, offset, ...}. Searches of the page are logged as events, once somebody settles on them.
export const search = (q, filters, page, signal) =>
  request(`search?${filterParameters(filters, { q, log: false, ...page })}`, { signal });
export const similar = (id, filters, page, signal) =>
  request(`${productUrl(id)}/similar?${filterParameters(filters, page)}`, { signal });
export const searchPhoto = (photo, filters, page, signal) =>
  request(`search/photo?${filterParameters(filters, page)}`,
    { method: "POST", body: photo, headers: { "content-type": photo.type }, signal });
export const startSession = (token) =>
  request("session", { method: "POST", headers: { authorization: `Bearer ${token}` } });
export const logEvent = (event) =>
  request("events", { method: "POST", keepalive: true, headers: JSON_BODY, body: JSON.stringify(event) })
    .catch(() => {});
