// The ticked methods, with a space between two, are the value of this part; its title names them.
const show = () => {
  const ticked = [...element.querySelectorAll("input:checked")];
  element.querySelector("summary b").textContent = ticked.map((box) => box.parentElement.textContent.split(":")[0].trim()).join(", ");
  return ticked.map((box) => box.value).join(" ");
};
element.addEventListener("change", () => { props.value = show(); });
show();
