// Shows the code as large as the screen.
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-full]")) element.querySelector(".door")?.requestFullscreen?.();
});
