// Product dialog: photo with regions, word weights, scores by model, fields, similar products.

import * as api from "./api.js";
import { factsOf, humanize, isLink, photo, titleOf } from "./cards.js";
import { el, icon, meter } from "./elements.js";
import { allWords, boxes, framesShown, setFrames } from "./why.js";

const section = (title, ...children) => [el("h3", {}, title), ...children];

function contributionTable(hit) {
  const entries = Object.entries(hit.contributions);
  const largest = Math.max(...entries.map(([, value]) => Math.abs(value)), 1e-9);
  const row = ([name, value]) => el("tr", { class: value < 0 ? "negative" : "" },
    el("th", { scope: "row" }, humanize(name)), el("td", {}, meter(Math.abs(value) / largest)),
    el("td", {}, value.toFixed(3)));
  return el("table", { class: "contributions" }, el("tbody", {}, entries.map(row),
    el("tr", {}, el("th", { scope: "row" }, "Score"), el("td"), el("td", {}, hit.score.toFixed(3)))));
}

// noreferrer: the address of this page contains the query.
const link = (url) => el("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" },
  url.replace(/^https?:\/\/(www\.)?/i, "").replace(/\/$/, ""));

// Frames of the regions, here and on the cards; the choice is remembered.
function framesToggle() {
  const button = el("button", { class: "plain frames", type: "button", "aria-pressed": String(framesShown()),
    onclick: () => {
      setFrames(!framesShown());
      button.setAttribute("aria-pressed", String(framesShown()));
    } }, "Frames");
  return button;
}

function fieldList(fields) {
  const { soldOut, others } = factsOf(fields);
  const rows = [...others, ...(soldOut ? [["availability", "Sold out"]] : [])];
  return rows.length ? section("Details", el("dl", {}, rows.flatMap(([name, value]) =>
    [el("dt", {}, humanize(name)), el("dd", {}, isLink(value) ? link(value) : value)]))) : [];
}

function similarStrip(results, options) {
  return el("div", { class: "strip" }, results.hits.map((hit) => {
    const title = titleOf(hit.fields, hit.product_id);
    return el("a", { href: options.href(hit.product_id), "data-product": hit.product_id, title },
      photo(hit.product_id, [], options.photos), el("span", {}, title));
  }));
}

// product: {product_id, fields, boxes}; hit: the result with its explanation, or null.
export function showDetail(dialog, product, hit, options) {
  const id = product.product_id;
  const why = hit?.explanation || { words: [], boxes: product.boxes || [] };
  const overlay = (frame, width, height) => why.boxes.length && frame.append(boxes(why, width, height));
  const price = factsOf(product.fields).price;
  const strip = el("div", { class: "strip" });
  const parts = [
    el("h2", { id: "detail-title", tabindex: "-1" }, titleOf(product.fields, id)),
    price && el("p", { class: "price" }, price),
    ...(why.words.length ? section("Words: weight, and probability that they describe the photo", allWords(why)) : []),
    ...(hit && Object.keys(hit.contributions).length ? section("Score by model", contributionTable(hit)) : []),
    ...fieldList(product.fields),
    ...section("Similar products", strip),
    el("p", { class: "more" }, el("a", { class: "pill", href: options.similar(id), "data-similar": id },
      "All similar products")),
  ];
  const big = el("div", { class: "big" }, photo(id, why.boxes, options.photos, overlay),
    why.boxes.length > 0 && framesToggle());
  const close = el("button", { class: "close", type: "button", "aria-label": "Close",
    onclick: () => dialog.close() }, icon("M6 6 18 18", "M18 6 6 18"));
  const keys = el("p", { class: "keys" }, el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " other results · ",
    el("kbd", {}, "Esc"), " close");
  dialog.replaceChildren(close, el("div", { class: "sheet" }, big, el("div", {}, parts, keys)));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector("#detail-title").focus({ preventScroll: true });
  api.similar(id, {}, { k: 4, facets: false }).then((results) => strip.replaceWith(similarStrip(results, options)),
    () => strip.replaceWith(el("p", {}, "Similar products are not available.")));
}
