// The state of the page is its address: query, filters, order and open product. What does not fit
// there is in the history entry: the id of a photo, the number of products shown, how deep a product
// was opened, and whether the search was logged.

const SIGN = />=|<=|>|<|=/;

// "price<=50" -> ["price", "<=50"], "colour=red" -> ["colour", "red"], as the server splits them.
function split(text) {
  const sign = SIGN.exec(text);
  if (!sign || !sign.index) return null;
  const value = text.slice(sign.index + sign[0].length).trim();
  return [text.slice(0, sign.index).trim(), sign[0] === "=" ? value : sign[0] + value];
}

export const join = (field, value) => (/^[<>]/.test(value) ? field + value : `${field}=${value}`);

// Filters are {field: [values]}; "-field" excludes.
export function filterParameters(filters, others) {
  const parameters = new URLSearchParams(others);
  for (const [field, values] of Object.entries(filters)) {
    for (const value of values) parameters.append("filter", join(field, value));
  }
  return parameters;
}

export function readUrl() {
  const parameters = new URLSearchParams(location.search);
  const filters = {};
  for (const text of parameters.getAll("filter")) {
    const pair = split(text);
    if (pair) (filters[pair[0]] ||= []).push(pair[1]);
  }
  const [q, like, product, sort, exact] =
    ["q", "like", "product", "sort", "exact"].map((name) => parameters.get(name) || "");
  return { q, like, product, sort, exact, filters };
}

export function urlOf({ filters = {}, product = "", ...others }) {
  const named = ["q", "like", "sort", "exact"].map((name) => [name, others[name]]).filter(([, value]) => value);
  const parameters = filterParameters(filters, named);
  if (product) parameters.set("product", product);
  const text = parameters.toString();
  return text ? `?${text}` : location.pathname;
}

export const entry = () => history.state || {};
export const remember = (changes) => history.replaceState({ ...entry(), ...changes }, "");
