// Product cards: photo, fields and, on hover or focus, the explanation of the hit.

import { photoUrl } from "./api.js";
import { el } from "./elements.js";
import { boxes, schematic, topWords } from "./why.js";

const TITLE = /^(title|name|product_?(display_?)?(name|title))$/i;
const PRICE = /price/i;
const STOCK = /^(in_?stock|available|availability)$/i;
const numberFormat = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const priceFormat = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

// "masterCategory", "in_stock" -> "Master category", "In stock"
export function humanize(name) {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").toLowerCase().trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function formatValue(name, value) {
  if (value == null || value === "") return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "number") return (PRICE.test(name) ? priceFormat : numberFormat).format(value);
  return String(value);
}

// Other schemes, such as javascript:, never become links.
export const isLink = (value) => /^https?:\/\/\S+$/i.test(value);

export function titleOf(fields, id) {
  const title = Object.entries(fields).find(([name, value]) => TITLE.test(name) && value);
  return title ? String(title[1]) : `Product ${id}`;
}

// All fields except the title.
export function factsOf(fields) {
  const facts = { price: null, soldOut: false, others: [] };
  for (const [name, value] of Object.entries(fields)) {
    if (value == null || value === "" || TITLE.test(name)) continue;
    if (PRICE.test(name) && facts.price == null && typeof value === "number") facts.price = formatValue(name, value);
    else if (STOCK.test(name) && typeof value === "boolean") facts.soldOut = !value;
    else facts.others.push([name, formatValue(name, value)]);
  }
  return facts;
}

// A photo, or a schematic of its regions if it is missing. A fixed frame keeps the grid still while it loads.
export function photo(id, regions, hasPhoto, onSize = () => {}) {
  const frame = el("div", { class: "photo" });
  const draw = () => frame.prepend(schematic(regions));
  if (!hasPhoto) {
    draw();
    onSize(frame, 150, 200);
    return frame;
  }
  const image = el("img", { alt: "", loading: "lazy", decoding: "async", src: photoUrl(id),
    onload: () => onSize(frame, image.naturalWidth, image.naturalHeight),
    onerror: () => { image.remove(); draw(); onSize(frame, 150, 200); } });
  frame.append(image);
  return frame;
}

export function card(hit, { href, similar, photos, scored = true, level = "h2" }) {
  const why = hit.explanation;
  const title = titleOf(hit.fields, hit.product_id);
  const { price, soldOut, others } = factsOf(hit.fields);
  const overlay = (frame, width, height) => why?.boxes.length && frame.append(boxes(why, width, height));
  const frame = photo(hit.product_id, why?.boxes, photos, overlay);
  if (why?.words.some((word) => word.weight > 0)) frame.append(topWords(why));
  if (soldOut) frame.append(el("span", { class: "out" }, "Sold out"));
  // Bare numbers (ids, years) mean nothing without their field's name, and addresses are long.
  const details = others.filter(([, value]) => !/^\d+$/.test(value) && !isLink(value)).slice(0, 3)
    .map(([, value]) => value);
  return el("li", { class: "card" },
    el("a", { href: href(hit.product_id), "data-product": hit.product_id }, frame, el(level, { class: "name" }, title),
      el("p", { class: "facts" }, price && el("b", {}, price), el("span", {}, details.join(" · ")))),
    scored && el("p", { class: "row" },
      el("span", { title: "comparable within a result list only" }, `Score ${hit.score.toFixed(2)}`),
      el("a", { href: similar(hit.product_id), "data-similar": hit.product_id,
        "aria-label": `Similar to ${title}` }, "Similar")));
}

export function skeletons(count) {
  const skeleton = () => el("li", { class: "card" }, el("div", { class: "skeleton photo" }),
    el("div", { class: "skeleton line" }), el("div", { class: "skeleton line short" }));
  return el("ul", { class: "grid", "aria-hidden": "true" }, Array.from({ length: count }, skeleton));
}
