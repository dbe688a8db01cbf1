// DOM element builders. Strings become text nodes, never markup: data cannot inject HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

export const el = (name, properties = {}, ...children) =>
  fill(document.createElement(name), properties, children);

export const svg = (name, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, name), properties, children);

export const icon = (...paths) =>
  svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, paths.map((d) => svg("path", { d })));

// Bar filled to a fraction from 0 to 1. The width is set by script: the CSP forbids style attributes.
export function meter(fraction) {
  const bar = el("i");
  bar.style.width = `${Math.round(Math.min(Math.max(fraction, 0), 1) * 100)}%`;
  return el("span", { class: "meter", "aria-hidden": "true" }, bar);
}
