// The search page: the address says what is shown, and everything follows from it.

import * as api from "./api.js";
import { bones, card, humanly, photo as framed, titleOf } from "./cards.js";
import { showDetail } from "./detail.js";
import { el, icon } from "./elements.js";
import { buildFilters } from "./filters.js";

const PAGE = 24;
const TYPING = 180; // milliseconds of rest before a search
const PATIENCE = 150; // milliseconds before a wait is shown
const LARGEST = 1024; // pixels of a photo's longer side that are sent
const $ = (id) => document.getElementById(id);
const [form, query, view, status, more, dialog] =
  ["form", "query", "view", "status", "more", "detail"].map($);

let shop = { photos: true, extractor: false, products: 0, most: 100 };
let facets = [];
let writeFilters = () => {};
let picture = null; // a photo as the query: {blob, url}; it cannot be in the address
let shown = { key: null, hits: [] };
let limit = PAGE;
let running = null;
let typing = 0;

// ---- the address -------------------------------------------------------------------------

function readAddress() {
  const found = new URLSearchParams(location.search);
  const filters = {};
  for (const one of found.getAll("filter")) {
    const at = one.indexOf("=");
    if (at > 0) filters[one.slice(0, at)] = one.slice(at + 1);
  }
  return { q: found.get("q") || "", like: found.get("like") || "", product: found.get("product") || "", filters };
}

function addressOf({ q = "", like = "", product = "", filters = {} }) {
  const found = new URLSearchParams();
  if (q) found.set("q", q);
  if (like) found.set("like", like);
  for (const [field, value] of Object.entries(filters)) found.append("filter", `${field}=${value}`);
  if (product) found.set("product", product);
  const text = found.toString();
  return text ? `?${text}` : location.pathname;
}

function go(changes, { replace = false } = {}) {
  const next = { ...readAddress(), product: "", ...changes };
  history[replace ? "replaceState" : "pushState"]({ picture: Boolean(picture) }, "", addressOf(next));
  render();
}

const links = {
  href: (id) => addressOf({ ...readAddress(), product: id }),
  similar: (id) => addressOf({ like: id, filters: readAddress().filters }),
  get photos() { return shop.photos; },
};

// ---- what is shown -----------------------------------------------------------------------

function render() {
  const state = readAddress();
  if (state.q || state.like) dropPicture();
  if (document.activeElement !== query || !typing) query.value = state.q;
  writeFilters(state.filters);
  const key = JSON.stringify([state.q, state.like, state.filters, picture?.url, limit]);
  const searched = key === shown.key ? Promise.resolve() : find(state, key);
  searched.then(() => showProduct(readAddress().product));
}

async function find(state, key) {
  running?.abort();
  const mine = (running = new AbortController());
  const asks = picture || state.like || state.q.trim();
  const slow = asks && setTimeout(showWaiting, PATIENCE);
  const started = performance.now();
  try {
    const found = await ask(state, mine.signal);
    if (running !== mine) return;
    shown = { key, hits: found ? found.hits : [] };
    await (found ? showFound(state, found, performance.now() - started) : showStart(mine.signal));
  } catch (error) {
    if (error.name === "AbortError" || running !== mine) return;
    shown = { key: null, hits: [] };
    showProblem(error);
  } finally {
    clearTimeout(slow);
    if (running === mine) view.removeAttribute("aria-busy");
  }
}

function ask({ q, like, filters }, signal) {
  if (picture) return api.searchPhoto(picture.blob, limit, filters, signal);
  if (like) return api.similar(like, limit, filters, signal);
  if (q.trim()) return api.search(q, limit, filters, signal);
  return Promise.resolve(null);
}

function showWaiting() {
  view.setAttribute("aria-busy", "true");
  status.textContent = "Searching…";
  const grid = view.querySelector(".grid[id]");
  if (grid) grid.classList.add("stale");
  else view.replaceChildren(bones(12));
  more.hidden = true;
}

async function showFound(state, found, took) {
  await showContext(state);
  const count = found.hits.length;
  document.title = `${state.q || "Similar products"} · shopsight`;
  $("heading").textContent = state.q ? `Products for ${state.q}` : "Similar products";
  status.textContent = count
    ? `${count.toLocaleString()} of ${found.total.toLocaleString()} products · ${Math.round(took)} ms` : "";
  showUnknown(found.unknown_words);
  if (!count) { showNothing(state.filters); return; }
  const cards = found.hits.map((hit) => card(hit, links));
  view.replaceChildren(el("ul", { class: "grid", id: "grid" }, cards));
  more.hidden = count < limit || limit >= shop.most;
}

async function showContext({ like }) {
  const context = $("context");
  context.hidden = !picture && !like;
  if (context.hidden) return;
  const thumb = el("div", { class: "photo thumb" });
  let words = "Products like your photo";
  if (picture) thumb.append(el("img", { alt: "Your photo", src: picture.url }));
  else {
    const one = await api.product(like);
    thumb.append(...framed(like, one.boxes, shop.photos && one.has_photo).childNodes);
    words = `Similar to ${titleOf(one.fields, like)}`;
  }
  const back = () => { dropPicture(); go({ like: "", q: "", filters: {} }); };
  context.replaceChildren(thumb, el("h2", {}, words),
    el("button", { class: "plain", type: "button", onclick: back }, "Start over"));
}

function showUnknown(words) {
  const line = $("unknown");
  line.hidden = !words.length;
  const named = words.flatMap((word, i) => [i ? ", " : "", el("b", {}, word)]);
  line.replaceChildren(words.length > 1 ? "Words new to the model: " : "A word new to the model: ", ...named);
}

function clearAround() {
  $("context").hidden = true;
  $("unknown").hidden = true;
  status.textContent = "";
  more.hidden = true;
}

async function showStart(signal) {
  clearAround();
  document.title = "shopsight";
  $("heading").textContent = "Search";
  const named = facets.filter(({ kind, values }) => kind === "choice" && Object.keys(values).length > 1);
  const first = ({ values }, count) => Object.keys(values).filter((value) => value.trim()).slice(0, count);
  const tries = named.flatMap((one) => first(one, 3)).slice(0, 7);
  const ways = shop.extractor ? "Describe what you have in mind in your own words, or search with a photo."
    : "Describe what you have in mind in your own words.";
  view.replaceChildren(el("div", { class: "hero" },
    el("h2", {}, `Search ${shop.products.toLocaleString()} products by what their photos show`),
    el("p", {}, ways),
    el("p", { class: "tries" }, tries.map((word) =>
      el("a", { class: "pill", href: addressOf({ q: word }), "data-query": word }, word)))));
  const shelves = named.slice(0, 1).flatMap((one) => first(one, 4).map((value) => ({ name: one.name, value })));
  const filters = readAddress().filters;
  const answers = await Promise.allSettled(shelves.map(({ name, value }) =>
    api.search(value, 8, { ...filters, [name]: value }, signal, false)));
  if (signal.aborted) return;
  answers.forEach((answer, i) => {
    if (answer.status === "fulfilled" && answer.value.hits.length) view.append(shelf(shelves[i], answer.value));
  });
}

function shelf({ value }, found) {
  const href = addressOf({ ...readAddress(), q: value });
  return el("section", { class: "shelf" },
    el("h2", {}, el("span", {}, value), el("a", { href, "data-query": value, "aria-label": `See all: ${value}` }, "See all")),
    el("ul", {}, found.hits.map((hit) => card(hit, { ...links, photos: shop.photos, scored: false, level: "h3" }))));
}

function message(drawing, title, text, ...buttons) {
  view.replaceChildren(el("div", { class: "message" }, drawing, el("h2", {}, title), el("p", {}, text), buttons));
}

function showNothing(filters) {
  const some = Object.keys(filters).length > 0;
  more.hidden = true;
  message(icon("M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z", "m16 16 4.5 4.5", "M8.5 11h5"),
    "Nothing found", some ? "No product passes these filters." : "Try other words, or fewer of them.",
    some && clearing());
}

const clearing = () =>
  el("button", { class: "solid", type: "button", onclick: () => go({ filters: {} }) }, "Clear filters");

function showProblem(error, retry = render) {
  clearAround();
  if (error.status === 401) { openDoor(); return; }
  const again = el("button", { class: "solid", type: "button", onclick: () => retry() }, "Try again");
  const titles = { 0: "No answer", 404: "Not in this catalogue", 429: "A little slower, please", 503: "Busy just now" };
  const said = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  const filtered = error.status === 400 && Object.keys(readAddress().filters).length > 0;
  message(icon("M12 4.5 3.5 19.5h17Z", "M12 10.5v4", "M12 17v.01"), titles[error.status] || "That did not work",
    /[.?!]$/.test(said) ? said : `${said}.`, filtered ? clearing() : again);
}

// ---- one product -------------------------------------------------------------------------

async function showProduct(id) {
  if (!id) { if (dialog.open) dialog.close(); return; }
  const hit = shown.hits.find((one) => one.product_id === id) || null;
  try {
    const one = hit ? { ...hit, boxes: hit.explanation?.boxes } : null;
    const product = one?.boxes?.length ? one : await api.product(id);
    if (readAddress().product === id) showDetail(dialog, product, hit, links);
  } catch (error) {
    if (dialog.open) dialog.close();
    showProblem(error);
  }
}

dialog.addEventListener("close", () => {
  const { product } = readAddress();
  if (!product) return;
  history.pushState(history.state, "", addressOf({ ...readAddress(), product: "" }));
  cardOf(product)?.focus();
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

function step(by) {
  const at = shown.hits.findIndex((one) => one.product_id === readAddress().product);
  const next = shown.hits[at + by];
  if (at >= 0 && next) go({ product: next.product_id }, { replace: true });
}

// ---- a photo as the query ----------------------------------------------------------------

function dropPicture() {
  if (picture) URL.revokeObjectURL(picture.url);
  picture = null;
}

async function usePhoto(file) {
  if (!file || !shop.extractor) return;
  try {
    const blob = await smaller(file);
    dropPicture();
    picture = { blob, url: URL.createObjectURL(blob) };
    limit = PAGE;
    query.value = "";
    go({ q: "", like: "" });
  } catch {
    showProblem(new api.Problem(400, "This file is no photo that your browser can read."));
  }
}

// A JPEG of moderate size, upright, whatever came from the camera.
async function smaller(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = el("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((done, failed) =>
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture"))), "image/jpeg", 0.92));
}

const carries = (event) => shop.extractor && [...(event.dataTransfer?.types || [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  $("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
document.addEventListener("drop", (event) => {
  $("drop").hidden = true;
  if (!carries(event)) return;
  event.preventDefault();
  usePhoto(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith("image/"));
  if (file) usePhoto(file);
});
$("photo").addEventListener("change", (event) => { usePhoto(event.target.files[0]); event.target.value = ""; });

// ---- typing, clicking, keys --------------------------------------------------------------

function searchTyped() {
  const going = Boolean(typing);
  clearTimeout(typing);
  typing = 0;
  if (query.value === readAddress().q && !picture) return;
  dropPicture();
  limit = PAGE;
  const replace = going && history.state?.typed === true;
  go({ q: query.value, like: "" }, { replace });
  history.replaceState({ ...history.state, typed: going }, "");
}

query.addEventListener("input", (event) => {
  clearTimeout(typing);
  if (!event.isComposing) typing = setTimeout(searchTyped, TYPING);
});
query.addEventListener("compositionend", () => { typing = setTimeout(searchTyped, TYPING); });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  typing = 0;
  searchTyped();
});
more.addEventListener("click", () => {
  const last = cardsShown().length;
  limit = Math.min(limit * 2, shop.most);
  more.disabled = true;
  const state = readAddress();
  find(state, JSON.stringify([state.q, state.like, state.filters, picture?.url, limit])).then(() => {
    more.disabled = false;
    cardsShown()[last]?.focus();
  });
});

// Links of ours are followed without loading the page anew; with a modifier they are plain links.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-product], a[data-similar], a[data-query], a.brand");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { product, similar, query: words } = link.dataset;
  if (product) { noteClick(product); go({ product }); return; }
  limit = PAGE;
  dropPicture();
  if (similar) { if (dialog.open) dialog.close(); go({ like: similar, q: "" }); }
  else if (words) go({ q: words, like: "" });
  else go({ q: "", like: "", filters: {} });
  scrollTo({ top: 0 });
});

// Which of the products found was opened: what training can learn from, where the server keeps it.
function noteClick(product) {
  const { q } = readAddress();
  if (shop.clicks && q && shown.hits.some((one) => one.product_id === product)) api.click(q, product);
}

const cardsShown = () => [...view.querySelectorAll("a[data-product]")];
const cardOf = (id) => cardsShown().find((one) => one.dataset.product === id);

// The card that lies in a direction from another, in a grid or on shelves.
function neighbour(from, key) {
  const all = cardsShown();
  const at = all.indexOf(from);
  if (key === "ArrowLeft") return all[at - 1];
  if (key === "ArrowRight") return all[at + 1];
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  const here = from.getBoundingClientRect();
  const down = key === "ArrowDown";
  const beyond = all.map((one) => [one, one.getBoundingClientRect()])
    .filter(([, box]) => (down ? box.top > here.top + 5 : box.top < here.top - 5));
  const far = ([, box]) => Math.abs(box.top - here.top) * 4 + Math.abs(box.left - here.left);
  return beyond.sort((a, b) => far(a) - far(b))[0]?.[0];
}

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || $("door").open) return;
  const { key, target } = event;
  if (dialog.open) {
    if (key === "ArrowRight" || key === "ArrowLeft") { event.preventDefault(); step(key === "ArrowRight" ? 1 : -1); }
    return;
  }
  const writing = target.matches("input:not([type=checkbox]), select, textarea");
  if (key === "/" && !writing) { event.preventDefault(); query.focus(); query.select(); return; }
  if (target === query && key === "ArrowDown") { event.preventDefault(); cardsShown()[0]?.focus(); return; }
  const from = target.closest?.("a[data-product]");
  if (!from || !view.contains(from)) return;
  if (key === "Escape") query.focus();
  else if (key === "s" || key === "S") { limit = PAGE; dropPicture(); go({ like: from.dataset.product, q: "" }); }
  else if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key)) {
    event.preventDefault();
    (neighbour(from, key) || (key === "ArrowUp" ? query : from)).focus();
  }
});
addEventListener("popstate", () => {
  if (!history.state?.picture) dropPicture();
  render();
});

// ---- beginning ---------------------------------------------------------------------------

function openDoor() {
  if (!$("door").open) $("door").showModal();
}

$("door").addEventListener("cancel", (event) => event.preventDefault());
$("door-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await api.enter($("token").value);
    $("door-wrong").textContent = "";
    $("door").close();
    begin();
  } catch (error) {
    $("door-wrong").textContent = error.status === 401 ? "That is not the token." : error.message;
  }
});

async function begin() {
  try {
    const [about, fields] = await Promise.all([api.info(), api.facets()]);
    facets = fields;
    shop = { ...about.index, most: about.limits.k_max, clicks: about.clicks };
    query.maxLength = about.limits.query_chars;
    $("camera").hidden = !shop.extractor;
    writeFilters = buildFilters($("filters"), facets, (filters) => { limit = PAGE; go({ filters }); });
    render();
  } catch (error) {
    showProblem(error, begin);
  }
}

view.replaceChildren(bones(12));
begin();
