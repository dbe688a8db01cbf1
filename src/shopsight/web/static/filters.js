// Filter bar, built from the facets that the API describes.

import { humanize } from "./cards.js";
import { el } from "./elements.js";

const MAX_FIELDS = 8;
const MAX_VALUES = 60;

const isFlag = (values) => Object.keys(values).every((value) => value === "true" || value === "false");

// Values of a facet to choose from; none for numbers, flags and free texts.
export function choices({ values }) {
  const texts = Object.keys(values).filter((value) => value.trim());
  return texts.length > 1 && !isFlag(values) ? texts : [];
}

// The control follows from what a facet offers, not from its kind: new kinds need no change here.
function control(facet) {
  if (facet.low != null) return facet.low < facet.high && range(facet);
  if (isFlag(facet.values)) return facet.values.true && checkbox(facet);
  return choices(facet).length && select(facet);
}

// Fills the form; onChange receives the filters as {field: value}. Returns a function that shows such filters.
export function buildFilters(form, facets, onChange) {
  const pills = facets.map(control).filter(Boolean).slice(0, MAX_FIELDS);
  const clear = el("button", { class: "plain", type: "button", onclick: () => onChange({}) }, "Clear filters");
  form.replaceChildren(...pills.map((pill) => pill.element), clear);
  form.hidden = !pills.length;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () =>
    onChange(Object.fromEntries(pills.map((pill) => [pill.name, pill.read()]).filter(([, value]) => value))));
  return (filters) => {
    for (const pill of pills) {
      pill.write(filters[pill.name] || "");
      pill.element.classList.toggle("on", Boolean(filters[pill.name]));
    }
    clear.hidden = !Object.keys(filters).length;
  };
}

function select(facet) {
  const { name, values } = facet;
  const options = choices(facet).slice(0, MAX_VALUES).map((value) =>
    el("option", { value }, `${value} (${values[value].toLocaleString()})`));
  const input = el("select", { name }, el("option", { value: "" }, "any"), options);
  const write = (value) => {
    // A link may contain a value that is not among the most frequent ones.
    if (value && ![...input.options].some((option) => option.value === value)) {
      input.append(el("option", { value }, value));
    }
    input.value = value;
  };
  return { name, write, read: () => input.value,
    element: el("label", { class: "pill choice" }, el("span", {}, humanize(name)), input) };
}

function checkbox({ name, values }) {
  const input = el("input", { type: "checkbox", name });
  return { name, write: (value) => { input.checked = value === "true"; },
    read: () => (input.checked ? "true" : ""),
    element: el("label", { class: "pill", title: `${values.true.toLocaleString()} products` },
      input, el("span", {}, humanize(name))) };
}

function range({ name, low, high }) {
  const bound = (word, limit) => el("input", { type: "number", step: "any", inputmode: "decimal",
    placeholder: Math.round(limit).toString(), "aria-label": `${humanize(name)}, ${word}` });
  const from = bound("from", Math.floor(low));
  const to = bound("to", Math.ceil(high));
  const write = (value) => { [from.value, to.value] = value.includes("..") ? value.split("..") : [value, value]; };
  return { name, write, read: () => (from.value || to.value ? `${from.value}..${to.value}` : ""),
    element: el("span", { class: "pill", role: "group", "aria-label": humanize(name) },
      el("span", {}, humanize(name)), from, el("span", { "aria-hidden": "true" }, "–"), to) };
}
