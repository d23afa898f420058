// While a workshop is open and its tab is shown: asks every 2 s who is there and what they guess, and says what it shows.
const look = () => {
  if (!element.isConnected) clearInterval(timer);
  else if (!document.hidden && element.querySelector("[data-room]") && element.closest("#workshop")?.offsetParent) {
    const stamp = (id) => document.querySelector(`#${id} [data-stamp]`)?.dataset.stamp ?? "";
    trigger("select", { press: "look", people: stamp("room-people"), guesses: stamp("room-guesses") });
  }
};
const timer = setInterval(look, 2000);
