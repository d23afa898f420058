// Opens and closes the part of the page that a button names. The line is drawn again while one types; its state stays.
const show = () => {
  for (const button of element.querySelectorAll("[data-fold]")) {
    button.setAttribute("aria-expanded", String(element.dataset[button.dataset.fold] === "open"));
  }
};
element.addEventListener("click", (event) => {
  const name = event.target.closest("[data-fold]")?.dataset.fold;
  if (!name) return;
  element.dataset[name] = element.dataset[name] === "open" ? "" : "open";
  show();
  if (element.dataset[name] === "open") document.querySelector(`#${name} textarea, #${name} input, #${name} button`)?.focus({ preventScroll: true });
});
new MutationObserver(show).observe(element, { childList: true, subtree: true });
show();
