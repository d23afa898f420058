// Tells Python which button in this part was pressed: its data- attributes are the fields of the event.
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-press]");
  if (button) trigger("select", { ...button.dataset });
});
