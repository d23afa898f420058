// Takes the text of the editor away: into the clipboard, or as a file under its name.
element.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-take]");
  if (!button) return;
  const value = (name) => document.querySelector(`#${name} textarea, #${name} input`)?.value ?? "";
  const text = value("editor-text");
  if (button.dataset.take === "copy") {
    await navigator.clipboard.writeText(text).catch(() => document.querySelector("#editor-text textarea").select());
    return;
  }
  const href = URL.createObjectURL(new Blob([text], { type: "application/toml" }));
  Object.assign(document.createElement("a"), { href, download: `${value("editor-name") || "scenario"}.toml` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
});
