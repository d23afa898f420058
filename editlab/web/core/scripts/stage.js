// The address keeps the scenario. A picture's tab is opened by its button. Presenting, a step is made as small as it has to
// be so that nothing of it is below the screen.
const LEAST = 0.4;
const fit = () => {
  const room = document.getElementById("stage-room"), { style } = document.body;
  style.removeProperty("--fit");
  if (!document.body.classList.contains("presenting") || !room) return;
  for (let size = 0.95; size >= LEAST && room.scrollHeight > room.clientHeight; size -= 0.05) style.setProperty("--fit", size);
};
let drawn;
const fitSoon = () => { cancelAnimationFrame(drawn); drawn = requestAnimationFrame(fit); };
window.addEventListener("resize", fitSoon);
const address = () => {
  const name = element.querySelector("[data-scenario]:not(button)")?.dataset.scenario;
  if (!name && !element.querySelector(".scenarios")) return;
  const url = new URL(location.href);
  if (name) url.searchParams.set("scenario", name);
  else url.searchParams.delete("scenario");
  if (url.href !== location.href) history.replaceState(history.state, "", url);
};
new MutationObserver(fitSoon).observe(element.closest("#stage-room"), { childList: true, subtree: true });
new MutationObserver(address).observe(element, { childList: true, subtree: true, attributeFilter: ["data-scenario"] });
address();
fitSoon();
// Asks every 1.5 s whether another window has gone on, unless this one shows the list or waits for a step of its own.
const look = () => {
  const nav = document.querySelector("#stage-nav .nav"), busy = document.querySelector("#stage-progress progress");
  if (!element.isConnected) clearInterval(timer);
  else if (nav && !busy && !document.hidden && document.getElementById("stage").offsetParent) {
    trigger("expand", { press: "look", stamp: nav.dataset.stamp });
  }
};
const timer = setInterval(look, 1500);
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-press=edit]")) document.getElementById("editor")?.scrollIntoView({ behavior: "smooth" });
  const name = event.target.closest("[data-tab]")?.dataset.tab;
  if (!name) return;
  document.dispatchEvent(new CustomEvent("present", { detail: false }));
  [...document.querySelectorAll("[role=tab]")].find((tab) => tab.dataset.tabId === name)?.click();
});
