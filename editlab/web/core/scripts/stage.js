// The address keeps the scenario. A picture's tab is opened by its button.
const address = () => {
  const name = element.querySelector("[data-scenario]:not(button)")?.dataset.scenario;
  if (!name && !element.querySelector(".scenarios")) return;
  const url = new URL(location.href);
  if (name) url.searchParams.set("scenario", name);
  else url.searchParams.delete("scenario");
  if (url.href !== location.href) history.replaceState(history.state, "", url);
};
new MutationObserver(address).observe(element, { childList: true, subtree: true, attributeFilter: ["data-scenario"] });
address();
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-press=edit]")) document.getElementById("editor")?.scrollIntoView({ behavior: "smooth" });
  const name = event.target.closest("[data-tab]")?.dataset.tab;
  if (!name) return;
  document.dispatchEvent(new CustomEvent("present", { detail: false }));
  [...document.querySelectorAll("[role=tab]")].find((tab) => tab.dataset.tabId === name)?.click();
});
