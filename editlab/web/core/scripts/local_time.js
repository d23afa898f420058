// Writes times as the reader's clock shows them.
const local = () => {
  for (const time of element.querySelectorAll("time:not([data-local])")) {
    const at = new Date(time.dateTime), today = at.toDateString() === new Date().toDateString();
    time.dataset.local = "";
    time.textContent = at.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
  }
};
new MutationObserver(local).observe(element, { childList: true, characterData: true, subtree: true });
local();
