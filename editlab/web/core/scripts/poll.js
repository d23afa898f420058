// Asks every 2 s what is new while the tab is visible, and says which check-up it shows, so that none is drawn twice.
const look = () => {
  if (!element.isConnected) clearInterval(timer);
  else if (!document.hidden && element.offsetParent) {
    const shown = document.querySelector("#monitor-verdict [data-stamp]")?.dataset.stamp ?? "";
    trigger("select", { press: "look", stamp: shown });
  }
};
const timer = setInterval(look, 2000);
