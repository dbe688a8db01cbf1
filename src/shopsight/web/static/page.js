// Search page. The URL holds query, filters and open product; everything shown is derived from it.

import * as api from "./api.js";
import { card, photo as photoFrame, skeletons, titleOf } from "./cards.js";
import { showDetail } from "./detail.js";
import { el, icon } from "./elements.js";
import { buildFilters, choices } from "./filters.js";

const PAGE_SIZE = 24;
const DEBOUNCE = 180; // milliseconds without typing before a search starts
const SKELETON_DELAY = 150; // milliseconds; shorter waits show no placeholder, which would flicker
const MAX_PHOTO_SIDE = 1024; // pixels
const $ = (id) => document.getElementById(id);
const [form, query, view, status, more, dialog, tokenDialog] =
  ["form", "query", "view", "status", "more", "detail", "token-dialog"].map($);

let shop = { photos: true, extractor: false, products: 0, maxHits: 100 };
let facets = [];
let writeFilters = () => {};
let queryPhoto = null; // {blob, url} of a photo as the query, which does not fit into the URL
let shown = { key: null, hits: [] };
let limit = PAGE_SIZE;
let running = null; // AbortController of the current search
let typingTimer = 0;

// ---- URL state ---------------------------------------------------------------------------

function readUrl() {
  const parameters = new URLSearchParams(location.search);
  const filters = {};
  for (const filter of parameters.getAll("filter")) {
    const i = filter.indexOf("=");
    if (i > 0) filters[filter.slice(0, i)] = filter.slice(i + 1);
  }
  const [q, like, product] = ["q", "like", "product"].map((name) => parameters.get(name) || "");
  return { q, like, product, filters };
}

function urlOf({ q = "", like = "", product = "", filters = {} }) {
  const parameters = api.toParameters(filters, Object.entries({ q, like }).filter(([, value]) => value));
  if (product) parameters.set("product", product);
  const text = parameters.toString();
  return text ? `?${text}` : location.pathname;
}

function navigate(changes, { replace = false } = {}) {
  const state = { ...readUrl(), product: "", ...changes };
  history[replace ? "replaceState" : "pushState"]({ photo: Boolean(queryPhoto) }, "", urlOf(state));
  render();
}

// A new query starts with the first page of results.
function newSearch(changes) {
  limit = PAGE_SIZE;
  dropPhoto();
  navigate(changes);
}

const links = {
  href: (id) => urlOf({ ...readUrl(), product: id }),
  similar: (id) => urlOf({ like: id, filters: readUrl().filters }),
  get photos() { return shop.photos; },
};

// ---- results -----------------------------------------------------------------------------

const searchKey = ({ q, like, filters }) => JSON.stringify([q, like, filters, queryPhoto?.url, limit]);

function render() {
  const state = readUrl();
  if (state.q || state.like) dropPhoto();
  // While the visitor types, the URL is behind the input and must not overwrite it.
  if (document.activeElement !== query || !typingTimer) query.value = state.q;
  writeFilters(state.filters);
  const search = searchKey(state) === shown.key ? Promise.resolve() : runSearch(state);
  search.then(() => showProduct(readUrl().product));
}

async function runSearch(state) {
  running?.abort();
  const own = (running = new AbortController());
  const key = searchKey(state);
  const timer = (queryPhoto || state.like || state.q.trim()) && setTimeout(showWaiting, SKELETON_DELAY);
  const started = performance.now();
  try {
    const results = await fetchResults(state, own.signal);
    // A newer search has started: its results are the ones to show.
    if (running !== own) return;
    shown = { key, hits: results ? results.hits : [] };
    await (results ? showResults(state, results, performance.now() - started) : showStart(own.signal));
  } catch (error) {
    if (error.name === "AbortError" || running !== own) return;
    shown = { key: null, hits: [] };
    showError(error);
  } finally {
    clearTimeout(timer);
    if (running === own) view.removeAttribute("aria-busy");
  }
}

async function fetchResults({ q, like, filters }, signal) {
  if (queryPhoto) return api.searchPhoto(queryPhoto.blob, limit, filters, signal);
  if (like) return api.similar(like, limit, filters, signal);
  return q.trim() ? api.search(q, limit, filters, signal) : null;
}

function showWaiting() {
  view.setAttribute("aria-busy", "true");
  status.textContent = "Searching…";
  const grid = $("grid");
  if (grid) grid.classList.add("stale");
  else view.replaceChildren(skeletons(12));
  more.hidden = true;
}

async function showResults(state, results, milliseconds) {
  await showContext(state);
  const count = results.hits.length;
  document.title = `${state.q || "Similar products"} · shopsight`;
  $("heading").textContent = state.q ? `Products for ${state.q}` : "Similar products";
  status.textContent = count
    ? `${count.toLocaleString()} of ${results.total.toLocaleString()} products · ${Math.round(milliseconds)} ms` : "";
  showUnknownWords(results.unknown_words);
  if (!count) { showNoResults(state.filters); return; }
  view.replaceChildren(el("ul", { class: "grid", id: "grid" }, results.hits.map((hit) => card(hit, links))));
  more.hidden = count < limit || limit >= shop.maxHits;
}

// The photo or product that the results are similar to.
async function showContext({ like }) {
  const context = $("context");
  context.hidden = !queryPhoto && !like;
  if (context.hidden) return;
  const thumb = el("div", { class: "photo thumb" });
  let text = "Similar to your photo";
  if (queryPhoto) thumb.append(el("img", { alt: "Your photo", src: queryPhoto.url }));
  else {
    const product = await api.product(like);
    thumb.append(...photoFrame(like, product.boxes, shop.photos && product.has_photo).childNodes);
    text = `Similar to ${titleOf(product.fields, like)}`;
  }
  context.replaceChildren(thumb, el("h2", {}, text), el("button", { class: "plain", type: "button",
    onclick: () => newSearch({ like: "", q: "", filters: {} }) }, "New search"));
}

function showUnknownWords(words) {
  const line = $("unknown");
  line.hidden = !words.length;
  const list = words.flatMap((word, i) => [i ? ", " : "", el("b", {}, word)]);
  line.replaceChildren(`Word${words.length > 1 ? "s" : ""} unknown to the model: `, ...list);
}

function clearStatus() {
  $("context").hidden = true;
  $("unknown").hidden = true;
  status.textContent = "";
  more.hidden = true;
}

async function showStart(signal) {
  clearStatus();
  document.title = "shopsight";
  $("heading").textContent = "Search";
  const fields = facets.filter((facet) => choices(facet).length);
  const suggestions = fields.flatMap((facet) => choices(facet).slice(0, 3)).slice(0, 7);
  const hint = shop.extractor ? "Describe what you are looking for, or search with a photo."
    : "Describe what you are looking for.";
  view.replaceChildren(el("div", { class: "hero" },
    el("h2", {}, `Search ${shop.products.toLocaleString()} products by what their photos show`),
    el("p", {}, hint),
    el("p", { class: "suggestions" }, suggestions.map((word) =>
      el("a", { class: "pill", href: urlOf({ q: word }), "data-query": word }, word)))));
  const values = fields.slice(0, 1).flatMap((facet) => choices(facet).slice(0, 4));
  const filters = readUrl().filters;
  const answers = await Promise.allSettled(values.map((value) =>
    api.search(value, 8, { ...filters, [fields[0].name]: value }, signal, false)));
  if (signal.aborted) return;
  answers.forEach((answer, i) => {
    if (answer.status === "fulfilled" && answer.value.hits.length) view.append(shelf(values[i], answer.value));
  });
}

function shelf(value, results) {
  const href = urlOf({ ...readUrl(), q: value });
  return el("section", { class: "shelf" },
    el("h2", {}, el("span", {}, value), el("a", { href, "data-query": value, "aria-label": `See all: ${value}` }, "See all")),
    el("ul", {}, results.hits.map((hit) => card(hit, { ...links, photos: shop.photos, scored: false, level: "h3" }))));
}

function showMessage(drawing, title, text, button) {
  view.replaceChildren(el("div", { class: "message" }, drawing, el("h2", {}, title), el("p", {}, text), button));
}

const button = (text, onclick) => el("button", { class: "solid", type: "button", onclick }, text);
const clearButton = () => button("Clear filters", () => navigate({ filters: {} }));

function showNoResults(filters) {
  const filtered = Object.keys(filters).length > 0;
  more.hidden = true;
  showMessage(icon("M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z", "m16 16 4.5 4.5", "M8.5 11h5"),
    "No results", filtered ? "No product matches these filters." : "Try other words, or fewer of them.",
    filtered && clearButton());
}

function showError(error, retry = render) {
  clearStatus();
  if (error.status === 401) { askForToken(); return; }
  const titles = { 0: "Connection failed", 404: "Not found", 429: "Too many requests", 503: "Server busy" };
  const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  const filtered = error.status === 400 && Object.keys(readUrl().filters).length > 0;
  showMessage(icon("M12 4.5 3.5 19.5h17Z", "M12 10.5v4", "M12 17v.01"), titles[error.status] || "Search failed",
    /[.?!]$/.test(text) ? text : `${text}.`, filtered ? clearButton() : button("Try again", () => retry()));
}

// ---- product dialog ----------------------------------------------------------------------

async function showProduct(id) {
  if (!id) { if (dialog.open) dialog.close(); return; }
  const hit = shown.hits.find(({ product_id }) => product_id === id) || null;
  try {
    const boxes = hit?.explanation?.boxes;
    const product = boxes?.length ? { ...hit, boxes } : await api.product(id);
    if (readUrl().product === id) showDetail(dialog, product, hit, links);
  } catch (error) {
    if (dialog.open) dialog.close();
    showError(error);
  }
}

dialog.addEventListener("close", () => {
  const { product } = readUrl();
  if (!product) return;
  history.pushState(history.state, "", urlOf({ ...readUrl(), product: "" }));
  allCards().find((link) => link.dataset.product === product)?.focus();
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

function stepProduct(offset) {
  const i = shown.hits.findIndex(({ product_id }) => product_id === readUrl().product);
  const next = shown.hits[i + offset];
  if (i >= 0 && next) navigate({ product: next.product_id }, { replace: true });
}

// ---- search by photo ---------------------------------------------------------------------

function dropPhoto() {
  if (queryPhoto) URL.revokeObjectURL(queryPhoto.url);
  queryPhoto = null;
}

async function usePhoto(file) {
  if (!file || !shop.extractor) return;
  try {
    const blob = await reencode(file);
    dropPhoto();
    queryPhoto = { blob, url: URL.createObjectURL(blob) };
    limit = PAGE_SIZE;
    query.value = "";
    navigate({ q: "", like: "" });
  } catch {
    showError(new api.Problem(400, "Your browser cannot read this file as a photo."));
  }
}

// An upright JPEG of moderate size. Metadata such as the place where it was taken stays on the device.
async function reencode(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MAX_PHOTO_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = el("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("not encoded"))), "image/jpeg", 0.92));
}

const hasFiles = (event) => shop.extractor && [...(event.dataTransfer?.types || [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  $("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
document.addEventListener("drop", (event) => {
  $("drop").hidden = true;
  if (!hasFiles(event)) return;
  event.preventDefault();
  usePhoto(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) =>
  usePhoto([...(event.clipboardData?.files || [])].find((file) => file.type.startsWith("image/"))));
$("photo").addEventListener("change", (event) => { usePhoto(event.target.files[0]); event.target.value = ""; });

// ---- typing, clicking, keys --------------------------------------------------------------

function searchTyped() {
  const typing = Boolean(typingTimer);
  clearTimeout(typingTimer);
  typingTimer = 0;
  if (query.value === readUrl().q && !queryPhoto) return;
  dropPhoto();
  limit = PAGE_SIZE;
  // A query typed in several bursts makes one history entry, not one per pause.
  const replace = typing && history.state?.typed === true;
  navigate({ q: query.value, like: "" }, { replace });
  history.replaceState({ ...history.state, typed: typing }, "");
}

query.addEventListener("input", (event) => {
  clearTimeout(typingTimer);
  if (!event.isComposing) typingTimer = setTimeout(searchTyped, DEBOUNCE);
});
query.addEventListener("compositionend", () => { typingTimer = setTimeout(searchTyped, DEBOUNCE); });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typingTimer);
  typingTimer = 0;
  searchTyped();
});
more.addEventListener("click", () => {
  const count = allCards().length;
  limit = Math.min(limit * 2, shop.maxHits);
  more.disabled = true;
  runSearch(readUrl()).then(() => {
    more.disabled = false;
    allCards()[count]?.focus();
  });
});

// Links within the page change its state without a reload; with a modifier key they open normally.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-product], a[data-similar], a[data-query], a.brand");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { product, similar, query: words } = link.dataset;
  if (product) { logClick(product); navigate({ product }); return; }
  if (similar && dialog.open) dialog.close();
  newSearch(similar ? { like: similar, q: "" } : words ? { q: words, like: "" } : { q: "", like: "", filters: {} });
  scrollTo({ top: 0 });
});

// Clicks on results are training data, if the server logs them.
function logClick(product) {
  const { q } = readUrl();
  if (shop.clicks && q && shown.hits.some(({ product_id }) => product_id === product)) api.logClick(q, product);
}

const allCards = () => [...view.querySelectorAll("a[data-product]")];

// The next card in the direction of a key, in a grid or on shelves.
function neighbour(from, key) {
  const cards = allCards();
  const i = cards.indexOf(from);
  if (key === "ArrowLeft") return cards[i - 1];
  if (key === "ArrowRight") return cards[i + 1];
  if (key === "Home") return cards[0];
  if (key === "End") return cards.at(-1);
  const start = from.getBoundingClientRect();
  const beyond = cards.map((link) => [link, link.getBoundingClientRect()]).filter(([, box]) =>
    (key === "ArrowDown" ? box.top > start.top + 5 : box.top < start.top - 5));
  // Rows count more than columns, so that the nearest row wins.
  const distance = ([, box]) => Math.abs(box.top - start.top) * 4 + Math.abs(box.left - start.left);
  return beyond.sort((a, b) => distance(a) - distance(b))[0]?.[0];
}

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || tokenDialog.open) return;
  const { key, target } = event;
  if (dialog.open) {
    if (key === "ArrowRight" || key === "ArrowLeft") { event.preventDefault(); stepProduct(key === "ArrowRight" ? 1 : -1); }
    return;
  }
  const editing = target.matches("input:not([type=checkbox]), select, textarea");
  if (key === "/" && !editing) { event.preventDefault(); query.focus(); query.select(); return; }
  if (target === query && key === "ArrowDown") { event.preventDefault(); allCards()[0]?.focus(); return; }
  const from = target.closest?.("a[data-product]");
  if (!from || !view.contains(from)) return;
  if (key === "Escape") query.focus();
  else if (key === "s" || key === "S") newSearch({ like: from.dataset.product, q: "" });
  else if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key)) {
    event.preventDefault();
    (neighbour(from, key) || (key === "ArrowUp" ? query : from)).focus();
  }
});
addEventListener("popstate", () => {
  if (!history.state?.photo) dropPhoto();
  render();
});

// ---- start -------------------------------------------------------------------------------

const askForToken = () => tokenDialog.open || tokenDialog.showModal();

tokenDialog.addEventListener("cancel", (event) => event.preventDefault());
$("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await api.startSession($("token").value);
    $("token-error").textContent = "";
    tokenDialog.close();
    start();
  } catch (error) {
    $("token-error").textContent = error.status === 401 ? "Wrong token." : error.message;
  }
});

async function start() {
  try {
    const [info, fields] = await Promise.all([api.info(), api.facets()]);
    facets = fields;
    shop = { ...info.index, maxHits: info.limits.k_max, clicks: info.clicks };
    query.maxLength = info.limits.query_chars;
    $("camera").hidden = !shop.extractor;
    writeFilters = buildFilters($("filters"), facets, (filters) => { limit = PAGE_SIZE; navigate({ filters }); });
    render();
  } catch (error) {
    showError(error, start);
  }
}

view.replaceChildren(skeletons(12));
start();
