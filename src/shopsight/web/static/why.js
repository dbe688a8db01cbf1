// Explanation of a hit: regions of its photo and the query words that match them.

import { el, meter, svg } from "./elements.js";

const COLOURS = 5;
const FRAMES = "frames";

export const framesShown = () => !document.body.classList.contains("no-frames");
export function setFrames(shown) {
  document.body.classList.toggle("no-frames", !shown);
  try { localStorage.setItem(FRAMES, shown ? "on" : "off"); } catch { /* remembered for this page only */ }
}
try { setFrames(localStorage.getItem(FRAMES) !== "off"); } catch { /* storage is forbidden: shown */ }

// Region index -> CSS class of its colour, in order of the weights of its words.
function colourRegions(words) {
  const classes = new Map();
  const weighed = words.filter((word) => word.region != null).sort((a, b) => b.weight - a.weight);
  for (const { region } of weighed) {
    if (!classes.has(region) && classes.size < COLOURS) classes.set(region, `c${classes.size}`);
  }
  return classes;
}

function rectangle([top, left, bottom, right], width, height, colour = "") {
  return svg("rect", { class: colour, x: left * width, y: top * height,
    width: Math.max(right - left, 0) * width, height: Math.max(bottom - top, 0) * height });
}

// Overlay of the regions. Its view box has the photo's size, so it scales like `object-fit: contain`.
export function boxes(explanation, width, height) {
  const colours = colourRegions(explanation.words);
  const order = explanation.boxes.map((box, i) => [box, colours.get(i)]);
  // Coloured regions are drawn last, on top.
  order.sort((a, b) => Boolean(a[1]) - Boolean(b[1]));
  return svg("svg", { class: "boxes", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    order.map(([box, colour]) =>
      [colour && rectangle(box, width, height, "halo"), rectangle(box, width, height, colour)]).flat());
}

// Placeholder for a missing photo: its regions, or a text.
export function schematic(regions = []) {
  const outlines = regions.map((box) => rectangle(box, 150, 200));
  const text = svg("text", { x: 75, y: 105 }, "no photo");
  return svg("svg", { class: "schematic", viewBox: "0 0 150 200", "aria-hidden": "true" },
    outlines.length ? outlines : text);
}

const dot = (word, colours) => el("span", { class: `dot ${colours.get(word.region) || ""}` });

// The five words with the highest weights, for the overlay on a photo.
export function topWords(explanation) {
  const colours = colourRegions(explanation.words);
  const weighed = explanation.words.filter((word) => word.weight > 0);
  const top = weighed.sort((a, b) => b.weight - a.weight).slice(0, 5);
  return el("ul", { class: "why", "aria-hidden": "true" }, top.map((word) =>
    el("li", {}, dot(word, colours), el("b", {}, word.word, !word.known && el("small", {}, " new")),
      meter(word.weight))));
}

// The match is a logit; its sigmoid is the probability that the word describes the photo.
const percent = (match) => `${Math.round(100 / (1 + Math.exp(-match)))}%`;

// All words with weight and match.
export function allWords(explanation) {
  const colours = colourRegions(explanation.words);
  return el("ul", { class: "words" }, explanation.words.map((word) => {
    const ignored = word.match == null;
    const note = ignored ? " ignored" : word.known ? "" : " unknown to the model";
    return el("li", { class: ignored ? "ignored" : "" }, dot(word, colours),
      el("b", {}, word.word, note && el("small", {}, note)), meter(word.weight),
      el("output", { title: `weight ${word.weight.toFixed(2)}` }, ignored ? "" : percent(word.match)));
  }));
}
