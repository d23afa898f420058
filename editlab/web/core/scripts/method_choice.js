// One choice at two places: buttons for the usual methods, and a list of the others. The value of this part is the method.
const show = () => {
  for (const button of element.querySelectorAll("input")) button.checked = button.value === props.value;
  const list = element.querySelector("select");
  if (list) {
    const listed = [...list.options].some((option) => option.value === props.value);
    list.value = listed ? props.value : "";
    list.classList.toggle("selected", listed);
  }
  for (const text of element.querySelectorAll("[data-about]")) text.hidden = text.dataset.about !== props.value;
};
element.addEventListener("change", ({ target }) => {
  props.value = target.value;
  show();
  trigger("input");
});
watch("value", show);
show();
