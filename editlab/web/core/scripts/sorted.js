// A table whose rows are put in order by the button in a column's head: words from A to Z first, numbers from the largest
// one down; pressed again, the other way round. A table that is drawn again keeps the order that was chosen.
let column = null, up = false;
const value = (row) => row.cells[column]?.dataset.value ?? "";
const rows = () => [...(element.querySelector("tbody")?.rows ?? [])];
const named = () => rows().some((row) => isNaN(value(row)));
const sort = () => {
  if (column === null || !rows().length) return;
  const words = named(), order = (a, b) => (words ? value(a).localeCompare(value(b)) : value(a) - value(b)) * (up ? 1 : -1);
  element.querySelector("tbody").append(...rows().sort(order));
  element.querySelectorAll("th[scope=col]").forEach((head, place) => {
    if (place === column) head.ariaSort = up ? "ascending" : "descending";
    else head.removeAttribute("aria-sort");
  });
};
element.addEventListener("click", ({ target }) => {
  const head = target.closest("th button")?.closest("th");
  if (!head) return;
  const again = head.cellIndex === column;
  column = head.cellIndex;
  up = again ? !up : named();
  sort();
});
watch("value", sort);
