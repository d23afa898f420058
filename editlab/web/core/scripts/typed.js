// As pressed.js, with the text of the field beside the button. Enter in the field presses the button.
const send = (button) => {
  const text = button.closest("details")?.querySelector("input")?.value ?? "";
  trigger("select", { ...button.dataset, text });
};
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-press]");
  if (button) send(button);
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && event.target.matches("input")) {
    event.preventDefault();
    send(event.target.closest("details").querySelector("[data-press]"));
  }
});
