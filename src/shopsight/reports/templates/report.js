// Sorts and searches the table of all queries. The page is complete without it.
const table = document.querySelector(".queries table");
if (table) {
  const body = table.tBodies[0], rows = [...body.rows];
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim(), number = Number(text);
    return text === "" || Number.isNaN(number) ? text.toLowerCase() : number;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
      rows.sort((a, b) => {
        const x = value(a, column), y = value(b, column);
        return down * (x < y ? -1 : x > y ? 1 : 0);
      });
      body.append(...rows);
    };
    head.setAttribute("role", "button");
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
    });
  });
  const search = document.getElementById("search"), found = document.getElementById("found");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    found.textContent = `${shown} of ${rows.length} queries`;
  };
  search.parentElement.hidden = false;
  search.addEventListener("input", filter);
  filter();
}
