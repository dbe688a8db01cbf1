// Search page. The address holds query, filters, order and open product; everything shown is derived from it.

import * as api from "./api.js";
import { card, photo as photoFrame, skeletons, titleOf } from "./cards.js";
import { showDetail } from "./detail.js";
import { el, icon } from "./elements.js";
import { buildFilters, choices } from "./filters.js";
import { addPhoto, findPhoto, releasePhoto } from "./photo.js";
import { entry, readUrl, remember, urlOf } from "./state.js";

const PAGE_SIZE = 24;
const MAX_DEPTH = 10000; // positions that the server answers
const DEBOUNCE = 180; // milliseconds without typing before a search starts
const SETTLED = 1500; // milliseconds without typing before a query counts as what was meant
const SKELETON_DELAY = 150; // milliseconds; shorter waits show no placeholder, which would flicker
const $ = (id) => document.getElementById(id);
const [form, query, view, status, more, dialog, tokenDialog] =
  ["form", "query", "view", "status", "more", "detail", "token-dialog"].map($);

let shop = { photos: true, extractor: false, products: 0, maxHits: 100 };
let facets = [];
let writeFilters = () => {};
let queryPhoto = null; // {id, blob, url}
let shown = { key: null, hits: [], total: 0 };
let running = null; // AbortController of the current search
let typingTimer = 0;
let settling = 0;

// ---- navigation --------------------------------------------------------------------------

// Changes the address. `keep` is what the new history entry remembers.
function navigate(changes, { replace = false, keep = {} } = {}) {
  const state = { ...readUrl(), product: "", ...changes };
  history[replace ? "replaceState" : "pushState"]({ photo: queryPhoto?.id, ...keep }, "", urlOf(state));
  return render();
}

// A new query starts without the order and the photo of the one before.
function newSearch(changes) {
  setPhoto(null);
  return navigate({ q: "", like: "", sort: "", exact: "", ...changes });
}

function setPhoto(photo) {
  if (photo?.id === queryPhoto?.id) return;
  releasePhoto(queryPhoto);
  queryPhoto = photo;
}

function openProduct(product) {
  const { count, settled, opened = 0 } = entry();
  return navigate({ product }, { keep: { count, settled, opened: readUrl().product ? opened + 1 : 1 } });
}

const links = {
  href: (id) => urlOf({ ...readUrl(), product: id }),
  similar: (id) => urlOf({ like: id, filters: readUrl().filters }),
  get photos() { return shop.photos; },
};

// ---- results -----------------------------------------------------------------------------

const searchKey = ({ q, like, filters, sort, exact }) => JSON.stringify([q, like, filters, sort, exact, queryPhoto?.id]);
const isStart = ({ q, like, filters, sort }) => !queryPhoto && !like && !q.trim() && !sort && !Object.keys(filters).length;

function render() {
  const state = readUrl();
  if (state.q || state.like) setPhoto(null);
  // While the visitor types, the URL is behind the input and must not overwrite it.
  if (document.activeElement !== query || !typingTimer) query.value = state.q;
  writeFilters(state);
  const search = searchKey(state) === shown.key ? Promise.resolve() : runSearch(state);
  return search.then(() => showProduct(readUrl().product));
}

async function runSearch(state) {
  running?.abort();
  clearTimeout(settling);
  const own = (running = new AbortController());
  const key = searchKey(state);
  const timer = !isStart(state) && setTimeout(showWaiting, SKELETON_DELAY);
  const started = performance.now();
  try {
    if (isStart(state)) {
      shown = { key, hits: [], total: 0 };
      await showStart(own.signal);
      return;
    }
    const results = await fetchHits(state, 0, entry().count || PAGE_SIZE, own.signal);
    // A newer search has started: its results are the ones to show.
    if (running !== own) return;
    shown = { key, ...results };
    await showResults(state, results, performance.now() - started);
    settling = setTimeout(settle, entry().typed ? SETTLED : 0);
  } catch (error) {
    if (error.name === "AbortError" || running !== own) return;
    shown = { key: null, hits: [], total: 0 };
    showError(error);
  } finally {
    clearTimeout(timer);
    if (running === own) view.removeAttribute("aria-busy");
  }
}

function fetchPage({ q, like, filters, sort, exact }, page, signal) {
  if (queryPhoto) return api.searchPhoto(queryPhoto.blob, filters, page, signal);
  if (like) return api.similar(like, filters, page, signal);
  const options = { ...page, sort, explain: Boolean(q.trim()) };
  return api.search(q, filters, exact ? { ...options, correct: false } : options, signal);
}

// Several pages of the server, if one is too small.
async function fetchHits(state, offset, count, signal) {
  const first = await fetchPage(state, { k: Math.min(count, shop.maxHits), offset }, signal);
  while (first.hits.length < count && offset + first.hits.length < Math.min(first.total, MAX_DEPTH)) {
    const from = offset + first.hits.length;
    const k = Math.min(count - first.hits.length, shop.maxHits, MAX_DEPTH - from);
    const next = await fetchPage(state, { k, offset: from, facets: false }, signal);
    if (!next.hits.length) break;
    first.hits.push(...next.hits);
  }
  return first;
}

function showWaiting() {
  view.setAttribute("aria-busy", "true");
  status.textContent = "Searching…";
  const grid = $("grid");
  if (grid) grid.classList.add("stale");
  else view.replaceChildren(skeletons(12));
  more.hidden = $("end").hidden = true;
}

async function showResults(state, results, milliseconds) {
  await showContext(state);
  const count = results.hits.length;
  const name = state.q.trim() || (state.like || queryPhoto ? "Similar products" : "Products");
  document.title = `${name} · shopsight`;
  $("heading").textContent = state.q.trim() ? `Products for ${name}` : name;
  status.textContent = count
    ? `${count.toLocaleString()} of ${results.total.toLocaleString()} products · ${Math.round(milliseconds)} ms` : "";
  showCorrection(state, results);
  showUnknownWords(count ? results.unknown_words : []);
  writeFilters(state, results.facets);
  if (!count) { showNoResults(state); return; }
  view.replaceChildren(el("ul", { class: "grid", id: "grid" }, cardsOf(state, results.hits)));
  showEnd();
}

// Without a query there is nothing to score.
const isScored = ({ q, like }) => Boolean(q.trim() || like || queryPhoto);
const cardsOf = (state, hits) => hits.map((hit) => card(hit, { ...links, scored: isScored(state) }));

function showEnd() {
  const { hits, total } = shown;
  const last = Math.min(total, MAX_DEPTH);
  more.hidden = hits.length >= last;
  $("end").hidden = !more.hidden || hits.length <= PAGE_SIZE;
  $("end").textContent = total > MAX_DEPTH ? `The first ${MAX_DEPTH.toLocaleString()} products; a filter shows others.`
    : `All ${total.toLocaleString()} products are shown.`;
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
  context.replaceChildren(thumb, el("h2", { tabindex: "-1" }, text), el("button", { class: "plain", type: "button",
    onclick: () => newSearch({ filters: {} }) }, "New search"));
}

function showCorrection({ q, filters }, { corrected }) {
  const line = $("corrected");
  line.hidden = !corrected;
  if (corrected) {
    line.replaceChildren("Showing results for ", el("b", {}, corrected), ". Search instead for ",
      el("a", { href: urlOf({ q, filters, exact: "1" }), "data-exact": q }, q), ".");
  }
}

function showUnknownWords(words) {
  const line = $("unknown");
  line.hidden = !words.length;
  const list = words.flatMap((word, i) => [i ? ", " : "", el("b", {}, word)]);
  line.replaceChildren(`Word${words.length > 1 ? "s" : ""} unknown to the model: `, ...list);
}

function clearStatus() {
  for (const id of ["context", "corrected", "unknown", "more", "end"]) $(id).hidden = true;
  status.textContent = "";
}

// Fields with a few values, which the start page offers.
const offered = () => facets.filter((facet) => choices(facet).length);

function suggestions() {
  const pills = offered().flatMap((facet) => choices(facet).slice(0, 3).map((value) => [facet.name, value]));
  return el("p", { class: "suggestions" }, pills.slice(0, 7).map(([name, value]) => filterLink(name, value, { class: "pill" }, value)));
}

const filterLink = (name, value, attributes, text) => el("a", { ...attributes, href: urlOf({ filters: { [name]: [value] } }),
  "data-filter": name, "data-value": value }, text);

async function showStart(signal) {
  clearStatus();
  document.title = "shopsight";
  $("heading").textContent = "Search";
  const hint = shop.extractor ? "Describe what you are looking for, or search with a photo."
    : "Describe what you are looking for.";
  view.replaceChildren(el("div", { class: "hero" },
    el("h2", {}, `Search ${shop.products.toLocaleString()} products by what their photos show`),
    el("p", {}, hint), suggestions()));
  const [field] = offered();
  const values = field ? choices(field).slice(0, 4) : [];
  const answers = await Promise.allSettled(values.map((value) =>
    api.search("", { [field.name]: [value] }, { k: 8, facets: false }, signal)));
  if (signal.aborted) return;
  answers.forEach((answer, i) => {
    if (answer.status === "fulfilled" && answer.value.hits.length) view.append(shelf(field.name, values[i], answer.value));
  });
}

function shelf(name, value, results) {
  return el("section", { class: "shelf" },
    el("h2", {}, el("span", {}, value), filterLink(name, value, { "aria-label": `See all: ${value}` },
      `See all ${results.total.toLocaleString()}`)),
    el("ul", {}, results.hits.map((hit) => card(hit, { ...links, scored: false, level: "h3" }))));
}

function showMessage(drawing, title, text, ...others) {
  view.replaceChildren(el("div", { class: "message" }, drawing, el("h2", {}, title), el("p", {}, text), ...others));
}

const button = (text, onclick) => el("button", { class: "solid", type: "button", onclick }, text);
const clearButton = () => button("Clear filters", () => navigate({ filters: {} }));
const startButton = () => button("New search", () => newSearch({ filters: {} }));

function showNoResults({ q, filters }) {
  more.hidden = $("end").hidden = true;
  const drawing = icon("M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z", "m16 16 4.5 4.5", "M8.5 11h5");
  if (Object.keys(filters).length) showMessage(drawing, "No results", "No product matches these filters.", clearButton());
  else showMessage(drawing, "No good match", `No product is close to “${q.trim()}”. Try other words, or fewer of them.`, suggestions());
}

function showError(error, retry = () => { shown = { key: null, hits: [], total: 0 }; render(); }) {
  clearStatus();
  if (error.status === 401) { askForToken(); return; }
  const titles = { 0: "Connection failed", 404: "Not found", 429: "Too many requests", 503: "Server busy" };
  const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  const filtered = error.status === 400 && Object.keys(readUrl().filters).length > 0;
  // The same request fails again, unless the server or the connection was at fault.
  const lasting = error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;
  showMessage(icon("M12 4.5 3.5 19.5h17Z", "M12 10.5v4", "M12 17v.01"), titles[error.status] || "Search failed",
    /[.?!]$/.test(text) ? text : `${text}.`,
    filtered ? clearButton() : lasting ? startButton() : button("Try again", () => retry()));
}

// ---- log ---------------------------------------------------------------------------------

// Settled searches and clicks are training data, if the server logs them; prefixes are not.
function settle() {
  clearTimeout(settling);
  const { q } = readUrl();
  if (!shop.events || !q.trim() || entry().settled || searchKey(readUrl()) !== shown.key) return;
  remember({ settled: true });
  logImpression(shown.hits);
}

function logImpression(hits) {
  const { q } = readUrl();
  if (!shop.events || !q.trim() || !hits.length) return;
  api.logEvent({ kind: "impression", query: q, search_id: shown.search_id,
    products: hits.map(({ product_id }) => product_id).slice(0, 1000) });
}

function logClick(product) {
  const { q } = readUrl();
  const position = shown.hits.findIndex(({ product_id }) => product_id === product);
  if (!shop.events || !q.trim() || position < 0) return;
  settle();
  api.logEvent({ kind: "click", query: q, search_id: shown.search_id, product, position });
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

// Closing goes back to the entry of the results, so that Back does not open the product again.
dialog.addEventListener("close", () => {
  const { product } = readUrl();
  if (!product) return;
  const { opened } = entry();
  if (opened) history.go(-opened);
  else history.replaceState(entry(), "", urlOf({ ...readUrl(), product: "" }));
  allCards().find((link) => link.dataset.product === product)?.focus();
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

function stepProduct(offset) {
  const i = shown.hits.findIndex(({ product_id }) => product_id === readUrl().product);
  const next = shown.hits[i + offset];
  if (i >= 0 && next) navigate({ product: next.product_id }, { replace: true, keep: entry() });
}

// ---- search by photo ---------------------------------------------------------------------

async function usePhoto(file) {
  if (!file || !shop.extractor) return;
  try {
    setPhoto(await addPhoto(file));
  } catch {
    showError(new api.Problem(400, "Your browser cannot read this file as a photo."));
    return;
  }
  query.value = "";
  navigate({ q: "", like: "", sort: "", exact: "" });
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
  if (query.value === readUrl().q && !queryPhoto) { if (!typing) settle(); return; }
  setPhoto(null);
  // A query typed in several bursts makes one history entry, not one per pause.
  const replace = typing && entry().typed === true;
  navigate({ q: query.value, like: "", exact: "" }, { replace, keep: { typed: typing } });
}

query.addEventListener("input", (event) => {
  clearTimeout(typingTimer);
  clearTimeout(settling);
  if (!event.isComposing) typingTimer = setTimeout(searchTyped, DEBOUNCE);
});
query.addEventListener("compositionend", () => { typingTimer = setTimeout(searchTyped, DEBOUNCE); });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typingTimer);
  typingTimer = 0;
  searchTyped();
});
more.addEventListener("click", async () => {
  const state = readUrl();
  const { key, hits } = shown;
  more.disabled = true;
  try {
    const next = await fetchHits(state, hits.length, PAGE_SIZE);
    if (shown.key !== key) return;
    shown.hits = [...hits, ...next.hits];
    remember({ count: shown.hits.length });
    settle();
    logImpression(next.hits);
    $("grid").append(...cardsOf(state, next.hits));
    status.textContent = `${shown.hits.length.toLocaleString()} of ${next.total.toLocaleString()} products`;
    showEnd();
    allCards()[hits.length]?.focus();
  } catch (error) {
    showError(error);
  } finally {
    more.disabled = false;
  }
});

// Links within the page change its state without a reload; with a modifier key they open normally.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-product], a[data-similar], a[data-filter], a[data-exact], a.brand");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { product, similar, filter, value, exact } = link.dataset;
  if (product) { logClick(product); openProduct(product); return; }
  if (similar && dialog.open) dialog.close();
  if (similar) showSimilar(similar);
  else if (exact) newSearch({ q: exact, exact: "1" });
  else newSearch(filter ? { filters: { [filter]: [value] } } : { filters: {} });
  scrollTo({ top: 0 });
});

// The focus would otherwise stay at a card that is gone.
const showSimilar = (id) => newSearch({ like: id }).then(() => $("context").querySelector("h2")?.focus());

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
  else if (key === "s" || key === "S") showSimilar(from.dataset.product);
  else if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key)) {
    event.preventDefault();
    (neighbour(from, key) || (key === "ArrowUp" ? query : from)).focus();
  }
});
addEventListener("popstate", restore);

function restore() {
  const { photo } = entry();
  if (photo !== queryPhoto?.id) setPhoto(findPhoto(photo));
  return render();
}

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
    shop = { ...info.index, maxHits: info.limits.k_max, events: info.events };
    query.maxLength = info.limits.query_chars;
    $("camera").hidden = !shop.extractor;
    writeFilters = buildFilters($("filters"), $("chips"), facets, (changes) => navigate(changes));
    restore();
  } catch (error) {
    showError(error, start);
  }
}

view.replaceChildren(skeletons(12));
start();
