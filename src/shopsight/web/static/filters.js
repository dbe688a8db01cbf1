// Filter bar, order and chips, built from the facets that the API describes.

import { humanize } from "./cards.js";
import { el } from "./elements.js";
import { join } from "./state.js";

const MAX_FIELDS = 8;
const MAX_VALUES = 60;
const MAX_ORDERS = 3;

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

// Fills the form; onChange receives {filters} or {sort}. Returns a function that shows a state, with
// the counts of its facets.
export function buildFilters(form, chips, facets, onChange) {
  const pills = facets.map(control).filter(Boolean).slice(0, MAX_FIELDS);
  const order = orders(facets);
  let shown = {};
  const set = (name, values) => {
    const { [name]: _, ...others } = shown;
    onChange({ filters: values.length ? { ...others, [name]: values } : others });
  };
  form.replaceChildren(...pills.map((pill) => pill.element), order.element);
  form.hidden = !pills.length;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    if (order.element.contains(event.target)) { onChange({ sort: event.target.value }); return; }
    const pill = pills.find(({ element }) => element.contains(event.target));
    if (pill) set(pill.name, pill.read(shown[pill.name] || []));
  });
  return ({ filters, sort }, counted) => {
    shown = filters;
    order.write(sort);
    for (const pill of pills) {
      pill.write(filters[pill.name] || [], counted?.find(({ name }) => name === pill.name));
      pill.element.classList.toggle("on", Boolean(filters[pill.name]));
    }
    showChips(chips, filters, set, () => onChange({ filters: {} }));
  };
}

// "<=80" -> "≤ 80", "10..20" -> "10 – 20"
function readable(value) {
  const [from, to] = bounds([value]);
  if (/^[<>]/.test(value)) return value.replace(/^([<>])=/, (_, sign) => (sign === "<" ? "≤ " : "≥ "));
  return from === to || !value.includes("..") ? value : from && to ? `${from} – ${to}` : from ? `≥ ${from}` : `≤ ${to}`;
}

function showChips(list, filters, set, clear) {
  const all = Object.entries(filters).flatMap(([name, values]) => values.map((value) => [name, value]));
  list.hidden = !all.length;
  list.replaceChildren(...all.map(([name, value]) => {
    const text = name.startsWith("-") ? `Not ${humanize(name.slice(1)).toLowerCase()}: ${readable(value)}`
      : `${humanize(name)}: ${readable(value)}`;
    return el("li", {}, el("button", { class: "chip", type: "button", "aria-label": `Remove filter ${text}`,
      "data-filter-text": join(name, value),
      onclick: () => set(name, filters[name].filter((other) => other !== value)) }, text,
    el("span", { "aria-hidden": "true" }, "×")));
  }), all.length > 1 ? el("li", {}, el("button", { class: "plain", type: "button", onclick: clear }, "Clear filters")) : "");
}

// A choice adds a value, or removes it if it was chosen; several are alternatives.
function select({ name, ...facet }) {
  const input = el("select", { name });
  const write = (chosen, { values } = facet) => {
    const texts = choices(facet).slice(0, MAX_VALUES);
    // A link may contain a value that is not among the most frequent ones.
    const extra = chosen.filter((value) => !texts.includes(value));
    const option = (value) => el("option", { value },
      `${chosen.includes(value) ? "✓ " : ""}${value} (${(values[value] || 0).toLocaleString()})`);
    input.replaceChildren(el("option", { value: "", selected: true }, chosen.join(", ") || "any"),
      ...[...extra, ...texts].map(option));
  };
  write([]);
  const read = (chosen) => (chosen.includes(input.value)
    ? chosen.filter((value) => value !== input.value) : [...chosen, input.value].filter(Boolean));
  return { name, write, read,
    element: el("label", { class: "pill choice" }, el("span", {}, humanize(name)), input) };
}

function checkbox({ name, ...facet }) {
  const input = el("input", { type: "checkbox", name });
  const element = el("label", { class: "pill" }, input, el("span", {}, humanize(name)));
  return { name, element, read: () => (input.checked ? ["true"] : []),
    write: (chosen, { values } = facet) => {
      input.checked = chosen[0] === "true";
      element.title = `${(values.true || 0).toLocaleString()} products`;
    } };
}

function bounds([value]) {
  const [sign, limit] = /^(>=?|<=?)?\s*(.*)$/s.exec(value || "").slice(1);
  if (sign) return sign[0] === ">" ? [limit, ""] : ["", limit];
  return limit.includes("..") ? limit.split("..") : [limit, limit];
}

// Of numbers, or of days, whose bounds are texts.
function range({ name, low, high }) {
  const number = (limit) => ({ type: "number", step: "any", inputmode: "decimal", placeholder: limit.toString() });
  const bound = (word, kind) => el("input", { ...kind, "aria-label": `${humanize(name)}, ${word}` });
  const days = { type: "date", min: low, max: high };
  const isDate = typeof low === "string";
  const from = bound("from", isDate ? days : number(Math.floor(low)));
  const to = bound("to", isDate ? days : number(Math.ceil(high)));
  const write = (chosen) => { [from.value, to.value] = bounds(chosen); };
  return { name, write, read: () => (from.value || to.value ? [`${from.value}..${to.value}`] : []),
    element: el("span", { class: "pill", role: "group", "aria-label": humanize(name) },
      el("span", {}, humanize(name)), from, el("span", { "aria-hidden": "true" }, "–"), to) };
}

function orders(facets) {
  const numbers = facets.filter(({ low, high }) => low != null && low < high).slice(0, MAX_ORDERS);
  const input = el("select", { name: "sort" }, el("option", { value: "" }, "best match"),
    numbers.flatMap(({ name }) => [el("option", { value: name }, `${humanize(name)}, lowest first`),
      el("option", { value: `-${name}` }, `${humanize(name)}, highest first`)]));
  const write = (sort) => {
    // An address may order by any field.
    if (sort && ![...input.options].some(({ value }) => value === sort)) input.append(el("option", { value: sort }, sort));
    input.value = sort;
  };
  return { write, element: el("label", { class: "pill choice", hidden: !numbers.length && "" }, el("span", {}, "Sort"), input) };
}
