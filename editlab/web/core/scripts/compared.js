// The ticked methods, with a space between two, are the value of this part.
element.addEventListener("change", () => {
  props.value = [...element.querySelectorAll("input:checked")].map((box) => box.value).join(" ");
});
