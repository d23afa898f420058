// The settings of the chosen method. The value of this part is what the visitor changed of all methods, as JSON: a change
// stays with its method while another one is chosen. Texts are sent as they are; Python says what is wrong with one.
const own = () => element.querySelector(".settings");
const changes = () => JSON.parse(props.value || "{}");
const first = (field) => JSON.parse(field.dataset.first);
const show = () => {
  if (!own()) return;
  const changed = changes()[own().dataset.method] ?? {};
  for (const field of own().querySelectorAll("[data-setting]")) {
    const value = changed[field.dataset.setting] ?? first(field);
    if (field.type === "checkbox") field.checked = value;
    else if (field.type === "radio") field.checked = field.value === value;
    else if (field.value.trim() !== value) field.value = value;
    field.closest(".setting").classList.toggle("changed", field.dataset.setting in changed);
  }
  own().querySelector("[data-reset]").hidden = !Object.keys(changed).length;
};
element.addEventListener("input", ({ target }) => {
  const { method } = own().dataset, { setting } = target.dataset, all = changes();
  const value = target.type === "checkbox" ? target.checked : target.value.trim();
  all[method] = { ...all[method], [setting]: value };
  if (value === first(target)) delete all[method][setting];
  props.value = JSON.stringify(all);
  show();
});
element.addEventListener("click", ({ target }) => {
  if (!target.closest("[data-reset]")) return;
  props.value = JSON.stringify({ ...changes(), [own().dataset.method]: undefined });
  show();
  own().querySelector("input").focus();
});
watch("fields", show);
watch("value", show);
show();
