// A row that is opened asks for its distribution. The answer is a property of the table and is put into the row.
element.addEventListener("toggle", (event) => {
  const row = event.target;
  if (row.open && row.dataset.probe && !row.querySelector(".top")) trigger("expand", { ...row.dataset });
}, true);
watch("distribution", () => {
  const { probe, html } = props.distribution;
  const row = element.querySelector(`details[data-probe="${CSS.escape(probe)}"]`);
  const place = row?.querySelector(".distribution");
  if (place) place.innerHTML = html;
});
