// Presenter mode: the stage fills the screen, and keys or a clicker go forward and back. The Edit tab shows, once it is
// opened, what was done on the stage.
() => {
  const FORWARD = ["ArrowRight", "PageDown", " "], BACK = ["ArrowLeft", "PageUp"];
  const presenting = () => document.body.classList.contains("presenting");
  const present = (on) => {
    document.body.classList.toggle("presenting", on);
    const url = new URL(location.href);
    if (on) url.searchParams.set("present", "1");
    else url.searchParams.delete("present");
    if (url.href !== location.href) history.replaceState(history.state, "", url);
    window.dispatchEvent(new Event("resize")); // a picture takes its new size
  };
  const press = (selector) => {
    const button = document.querySelector(selector);
    if (button && !button.disabled) button.click();
    return button !== null && !button.disabled;
  };
  let last = 0; // a clicker that bounces, or a key that is held down, is one press
  const bounces = (event) => {
    const soon = event.repeat || event.timeStamp - last < 100;
    last = event.timeStamp;
    return soon;
  };
  const writing = (target) => target.closest("input, textarea, select, [contenteditable=true]") !== null;
  document.addEventListener("keydown", (event) => {
    const stage = document.getElementById("stage");
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || !(stage?.offsetParent || presenting())) return;
    const forward = FORWARD.includes(event.key) && !(event.key === " " && (event.shiftKey || event.target.closest("button")));
    const back = BACK.includes(event.key) || (event.key === " " && event.shiftKey);
    if (event.key.toLowerCase() === "p") present(!presenting());
    else if (!presenting()) return;
    else if (event.key === "Escape") press("#stage-stop") || present(false);
    else if (forward || back) bounces(event) || press(forward ? "#stage-nav .go" : "#stage-nav [data-press=back]");
    else return;
    event.preventDefault();
  }, true);
  document.addEventListener("present", (event) => present(event.detail));
  document.addEventListener("click", (event) => { if (event.target.closest("[data-present]")) present(!presenting()); });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[role=tab]")?.dataset.tabId === "edit") document.getElementById("stage-left")?.click();
  }, true);
  if (new URL(location.href).searchParams.get("present")) document.body.classList.add("presenting");
}
