// A table whose rows are put in order by the button in a column's head: descending first, then ascending. A redrawn table
// keeps the order that was chosen.
let column = null, up = false;
const sort = () => {
  if (column === null) return;
  const body = element.querySelector("tbody"), value = (row) => row.cells[column]?.dataset.value ?? "";
  const order = (a, b) => (isNaN(value(a)) ? value(b).localeCompare(value(a)) : value(a) - value(b)) * (up ? 1 : -1);
  body?.append(...[...body.rows].sort(order));
  element.querySelectorAll("th[scope=col]").forEach((head, place) => {
    if (place === column) head.ariaSort = up ? "ascending" : "descending";
    else head.removeAttribute("aria-sort");
  });
};
element.addEventListener("click", ({ target }) => {
  const head = target.closest("th button")?.closest("th");
  if (!head) return;
  up = head.cellIndex === column && !up;
  column = head.cellIndex;
  sort();
});
watch("value", sort);
