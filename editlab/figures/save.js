// Saves the plot that a button names as PNG, SVG or CSV. `element` holds the buttons: <button data-save="csv" data-plot="ID">.
const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/;
const quoted = (text) => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
// A text as a cell that no spreadsheet calculates; a number stays one.
const plain = (text) => quoted(FORMULA.test(text) && !Number.isFinite(Number(text)) ? `'${text}` : text);
const unmarked = (text) => new DOMParser().parseFromString(text.replaceAll("<br>", "; "), "text/html").body.textContent;
const cell = (value) => typeof value === "string" ? plain(unmarked(value)) : `${value ?? ""}`;
// A row a point. What a point stands for is its customdata where its height tells nothing.
const rowsOf = (trace) => trace.z
  ? [...trace.z].flatMap((row, y) => [...row].map((z, x) => [trace.name, trace.x?.[x] ?? x, trace.y?.[y] ?? y, z, trace.text?.[y]?.[x]]))
  : [...trace.x].map((x, n) => [trace.name, x, trace.customdata?.[n] ?? trace.y[n], trace.error_y?.array?.[n], (trace.hovertext ?? trace.text)?.[n]]);
const csvOf = (plot) => {
  const last = plot.data.some((trace) => trace.z) ? "z" : "error";
  const rows = [["series", "x", "y", last, "text"], ...plot.data.flatMap(rowsOf)];
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
};
const download = (name, text) => {
  const href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
};
element.addEventListener("click", (event) => {
  const { save: format, plot: id } = event.target.closest("[data-save]")?.dataset ?? {};
  const place = id && document.getElementById(id);
  const plot = place?.matches(".js-plotly-plot") ? place : place?.querySelector(".js-plotly-plot");
  if (!plot) return;
  if (format === "csv") {
    download(`${id}.csv`, csvOf(plot));
    return;
  }
  const layout = { ...plot.layout, paper_bgcolor: "#ffffff", font: { ...plot.layout.font, color: "#1b2230" } };
  const size = { width: plot.clientWidth, height: plot.clientHeight, scale: format === "png" ? 2 : 1 };
  Plotly.downloadImage({ data: plot.data, layout }, { format, filename: id, ...size });
});
