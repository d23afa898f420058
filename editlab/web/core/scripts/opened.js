// A row that is opened asks for its distribution. The answer is a property of the table and is put into the row.
// Kinds that are open stay open while the table is drawn again.
const kinds = new Set();
element.addEventListener("toggle", (event) => {
  const row = event.target;
  if (row.dataset.kind && row.isConnected) kinds[row.open ? "add" : "delete"](row.dataset.kind);
  if (row.open && row.dataset.probe && !row.querySelector(".top")) trigger("expand", { ...row.dataset });
}, true);
watch("distribution", () => {
  const { probe, html } = props.distribution;
  const row = element.querySelector(`details[data-probe="${CSS.escape(probe)}"]`);
  const place = row?.querySelector(".distribution");
  if (place) place.innerHTML = html;
});
new MutationObserver(() => {
  for (const group of element.querySelectorAll("details.group:not([open])")) group.open = kinds.has(group.dataset.kind);
}).observe(element, { childList: true });
