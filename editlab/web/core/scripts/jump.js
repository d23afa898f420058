// A score leads to the probes that it counts.
element.addEventListener("click", (event) => {
  const kind = event.target.closest("[data-kind]")?.dataset.kind;
  const group = kind && document.querySelector(`#probe-table details.group[data-kind="${CSS.escape(kind)}"]`);
  if (!group) return;
  if (!group.open) group.querySelector("summary").click();
  group.scrollIntoView({ block: "nearest", behavior: "smooth" });
});
