// Opens and closes the part of the page that a button names. The buttons are drawn again while one types; what is open
// is kept at the page's body.
const opened = () => new Set((document.body.dataset.unfolded ?? "").split(" ").filter(Boolean));
const show = () => {
  const open = opened();
  for (const button of element.querySelectorAll("[data-fold]")) {
    const state = String(open.has(button.dataset.fold));
    if (button.getAttribute("aria-expanded") !== state) button.setAttribute("aria-expanded", state);
  }
};
element.addEventListener("click", (event) => {
  const name = event.target.closest("[data-fold]")?.dataset.fold;
  if (!name) return;
  const open = opened(), opens = !open.delete(name);
  if (opens) open.add(name);
  document.body.dataset.unfolded = [...open].join(" ");
  show();
  if (opens) document.querySelector(`#${name} textarea, #${name} input, #${name} button`)?.focus({ preventScroll: true });
});
new MutationObserver(show).observe(element, { childList: true, subtree: true, attributeFilter: ["aria-expanded"] });
show();
