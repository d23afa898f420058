// Draws a figure once its section is open, and saves tables as CSV; a link to a folded section opens it.
const draw = (place) => {
  const { data, layout } = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  if (document.documentElement.matches(".paper")) layout.height *= 0.75;
  Plotly.newPlot(place, data, layout, { responsive: true, displayModeBar: false });
};
const drawVisible = () => {
  for (const place of document.querySelectorAll("[data-figure]:not(.js-plotly-plot)")) if (place.offsetParent) draw(place);
};
document.addEventListener("toggle", drawVisible, true);
drawVisible();
const unfold = () => { const section = document.getElementById(location.hash.slice(1)); if (section) section.open = true; };
addEventListener("hashchange", unfold);
unfold();
document.addEventListener("click", (event) => {
  const id = event.target.closest("[data-table]")?.dataset.table;
  if (!id) return;
  const text = (item) => plain(item.dataset.whole ?? item.textContent.replace(/\s+/g, " ").trim());
  const rows = [...document.getElementById(id).rows].map((row) => [...row.cells].map(text).join(",") + "\r\n");
  download(`${id}.csv`, rows.join(""));
});
