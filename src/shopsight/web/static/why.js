// Why a product was found: its photo's regions, and the words that they answer.

import { el, meter, svg } from "./elements.js";

const COLOURS = 5;

// Region -> colour, the region of the weightiest word first.
function coloursOf(words) {
  const found = new Map();
  const weighed = words.filter((one) => one.region != null).sort((a, b) => b.weight - a.weight);
  for (const { region } of weighed) {
    if (!found.has(region) && found.size < COLOURS) found.set(region, `c${found.size}`);
  }
  return found;
}

function rectangle([top, left, bottom, right], wide, high, colour = "") {
  return svg("rect", { class: colour, x: left * wide, y: top * high,
    width: Math.max(right - left, 0) * wide, height: Math.max(bottom - top, 0) * high });
}

// The regions as an overlay that lies on the photo as `object-fit: contain` lays the photo.
export function boxes(explanation, wide, high) {
  const colours = coloursOf(explanation.words);
  const order = explanation.boxes.map((box, i) => [box, colours.get(i)]);
  order.sort((a, b) => Boolean(a[1]) - Boolean(b[1]));
  return svg("svg", { class: "boxes", viewBox: `0 0 ${wide} ${high}`, "aria-hidden": "true" },
    order.map(([box, colour]) =>
      [colour && rectangle(box, wide, high, "halo"), rectangle(box, wide, high, colour)]).flat());
}

// What stands for a photo that is not there: its regions, or nothing but a word.
export function schematic(regions = []) {
  const drawn = regions.map((box) => rectangle(box, 150, 200));
  const word = svg("text", { x: 75, y: 105 }, "no photo");
  return svg("svg", { class: "schematic", viewBox: "0 0 150 200", "aria-hidden": "true" },
    drawn.length ? drawn : word);
}

const dotted = (word, colours) => el("span", { class: `dot ${colours.get(word.region) || ""}` });

// The weightiest words, for the foot of a photo.
export function shortWords(explanation) {
  const colours = coloursOf(explanation.words);
  const weighed = explanation.words.filter((one) => one.weight > 0);
  const first = weighed.sort((a, b) => b.weight - a.weight).slice(0, 5);
  return el("ul", { class: "why", "aria-hidden": "true" }, first.map((one) =>
    el("li", {}, dotted(one, colours), el("b", {}, one.word, !one.known && el("small", {}, " new")),
      meter(one.weight))));
}

// A match is a logit: how probable it is that the word could be said of the photo.
const percent = (match) => `${Math.round(100 / (1 + Math.exp(-match)))}%`;

// Every word with its weight and its match.
export function allWords(explanation) {
  const colours = coloursOf(explanation.words);
  return el("ul", { class: "words" }, explanation.words.map((one) => {
    const out = one.match == null;
    const note = out ? " left out" : one.known ? "" : " new to the model";
    return el("li", { class: out ? "left" : "" }, dotted(one, colours),
      el("b", {}, one.word, note && el("small", { class: out ? "left" : "" }, note)),
      meter(one.weight),
      el("output", { title: `weight ${one.weight.toFixed(2)}` }, out ? "" : percent(one.match)));
  }));
}
