// Products as cards: a photo, what is known, and on hover or focus why it was found.

import { photoOf } from "./api.js";
import { el } from "./elements.js";
import { boxes, schematic, shortWords } from "./why.js";

const TITLE = /^(title|name|product_?(display_?)?(name|title))$/i;
const PRICE = /price/i;
const STOCK = /^(in_?stock|available|availability)$/i;
const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const prices = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

// "masterCategory", "in_stock" -> "Master category", "In stock"
export function humanly(name) {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").toLowerCase().trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function written(name, value) {
  if (value == null || value === "") return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return (PRICE.test(name) ? prices : numbers).format(value);
  return String(value);
}

export function titleOf(fields, id) {
  const named = Object.entries(fields).find(([name, value]) => TITLE.test(name) && value);
  return named ? String(named[1]) : `Product ${id}`;
}

// The fields that the title does not say yet.
export function factsOf(fields) {
  const facts = { price: null, soldOut: false, others: [] };
  for (const [name, value] of Object.entries(fields)) {
    if (value == null || value === "" || TITLE.test(name)) continue;
    if (PRICE.test(name) && facts.price == null && typeof value === "number") facts.price = written(name, value);
    else if (STOCK.test(name) && typeof value === "boolean") facts.soldOut = !value;
    else facts.others.push([name, written(name, value)]);
  }
  return facts;
}

// A photo that holds its place while it loads, and a drawing where there is none.
export function photo(id, regions, some, loaded = () => {}) {
  const frame = el("div", { class: "photo" });
  const draw = () => frame.prepend(schematic(regions));
  if (!some) {
    draw();
    loaded(frame, 150, 200);
    return frame;
  }
  const image = el("img", { alt: "", loading: "lazy", decoding: "async", src: photoOf(id),
    onload: () => loaded(frame, image.naturalWidth, image.naturalHeight),
    onerror: () => { image.remove(); draw(); loaded(frame, 150, 200); } });
  frame.append(image);
  return frame;
}

export function card(hit, { href, similar, photos, scored = true, level = "h2" }) {
  const why = hit.explanation;
  const title = titleOf(hit.fields, hit.product_id);
  const { price, soldOut, others } = factsOf(hit.fields);
  const lay = (frame, wide, high) => why?.boxes.length && frame.append(boxes(why, wide, high));
  const frame = photo(hit.product_id, why?.boxes, photos, lay);
  if (why?.words.some((one) => one.weight > 0)) frame.append(shortWords(why));
  if (soldOut) frame.append(el("span", { class: "out" }, "Sold out"));
  const kinds = others.filter(([, value]) => !/^\d+$/.test(value)).slice(0, 3).map(([, value]) => value);
  return el("li", { class: "card" },
    el("a", { href: href(hit.product_id), "data-product": hit.product_id }, frame, el(level, { class: "name" }, title),
      el("p", { class: "facts" }, price && el("b", {}, price), el("span", {}, kinds.join(" · ")))),
    scored && el("p", { class: "row" },
      el("span", { title: "score; comparable within one answer" }, `Score ${hit.score.toFixed(2)}`),
      el("a", { href: similar(hit.product_id), "data-similar": hit.product_id,
        "aria-label": `Similar to ${title}` }, "Similar")));
}

export function bones(count) {
  const one = () => el("li", { class: "card" }, el("div", { class: "bone photo" }),
    el("div", { class: "bone line" }), el("div", { class: "bone line short" }));
  return el("ul", { class: "grid", "aria-hidden": "true" }, Array.from({ length: count }, one));
}
