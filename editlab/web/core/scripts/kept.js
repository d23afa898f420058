// Folds that a person opened stay open while this part is drawn again, which takes their attributes away.
const kept = new Set();
element.addEventListener("click", (event) => {
  const fold = event.target.closest("summary")?.parentElement;
  if (fold?.dataset.kept) kept[fold.open ? "delete" : "add"](fold.dataset.kept); // it is as it was before the click
}, true);
new MutationObserver(() => {
  for (const fold of element.querySelectorAll("details[data-kept]:not([open])")) fold.open = kept.has(fold.dataset.kept);
}).observe(element, { childList: true, subtree: true, attributeFilter: ["open"] });
