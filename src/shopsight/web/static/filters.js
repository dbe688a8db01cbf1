// The row of filters, made of what the index knows about its fields.

import { humanly } from "./cards.js";
import { el } from "./elements.js";

const MOST_FIELDS = 8;
const MOST_VALUES = 60;

// form: the element to fill; changed: is told {field: value}, without the fields left open.
export function buildFilters(form, facets, changed) {
  const usable = facets.filter(({ kind, values, low, high }) =>
    (kind === "choice" && Object.keys(values).length > 1) ||
    (kind === "flag" && values.true) || (kind === "number" && low != null && low < high));
  const pills = usable.slice(0, MOST_FIELDS).map((one) => MAKERS[one.kind](one));
  const clear = el("button", { class: "plain", type: "button", onclick: () => changed({}) }, "Clear filters");
  form.replaceChildren(...pills.map((pill) => pill.element), clear);
  form.hidden = !pills.length;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    const filters = {};
    for (const pill of pills) if (pill.read()) filters[pill.name] = pill.read();
    changed(filters);
  });
  return (filters) => {
    for (const pill of pills) {
      pill.write(filters[pill.name] || "");
      pill.element.classList.toggle("on", Boolean(filters[pill.name]));
    }
    clear.hidden = !Object.keys(filters).length;
  };
}

function choice({ name, values }) {
  const options = Object.entries(values).filter(([value]) => value.trim()).slice(0, MOST_VALUES).map(([value, count]) =>
    el("option", { value }, `${value} (${count.toLocaleString()})`));
  const select = el("select", { name }, el("option", { value: "" }, "any"), options);
  const write = (value) => {
    if (value && ![...select.options].some((one) => one.value === value)) {
      select.append(el("option", { value }, value)); // from an address somebody shared
    }
    select.value = value;
  };
  return { name, write, read: () => select.value,
    element: el("label", { class: "pill choice" }, el("span", {}, humanly(name)), select) };
}

function flag({ name, values }) {
  const box = el("input", { type: "checkbox", name });
  return { name, write: (value) => { box.checked = value === "true"; },
    read: () => (box.checked ? "true" : ""),
    element: el("label", { class: "pill", title: `${(values.true || 0).toLocaleString()} products` },
      box, el("span", {}, humanly(name))) };
}

function range({ name, low, high }) {
  const box = (word, limit) => el("input", { type: "number", step: "any", inputmode: "decimal",
    placeholder: Math.round(limit).toString(), "aria-label": `${humanly(name)}, ${word}` });
  const from = box("from", Math.floor(low));
  const to = box("to", Math.ceil(high));
  const write = (value) => {
    const [least, most] = value.includes("..") ? value.split("..") : [value, value];
    from.value = least;
    to.value = most;
  };
  return { name, write, read: () => (from.value || to.value ? `${from.value}..${to.value}` : ""),
    element: el("span", { class: "pill", role: "group", "aria-label": humanly(name) },
      el("span", {}, humanly(name)), from, el("span", { "aria-hidden": "true" }, "–"), to) };
}

const MAKERS = { choice, flag, number: range };
