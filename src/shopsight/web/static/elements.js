// Elements from a name, properties and children. Text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

export const el = (name, properties = {}, ...children) =>
  filled(document.createElement(name), properties, children);

export const svg = (name, properties = {}, ...children) =>
  filled(document.createElementNS(SVG, name), properties, children);

export const icon = (...paths) =>
  svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, paths.map((d) => svg("path", { d })));

// A bar that is filled to a share from 0 to 1.
export function meter(share) {
  const fill = el("i");
  fill.style.width = `${Math.round(Math.min(Math.max(share, 0), 1) * 100)}%`;
  return el("span", { class: "meter", "aria-hidden": "true" }, fill);
}
