// A participant's strip: asks every 3 s what the presenter asks, and sends a guess when its button is pressed.
// A page that is no participant's has no strip, and asks nothing.
const card = () => element.querySelector(".strip .guess");
let sending = false, last = null;
const fold = (on) => {
  element.classList.toggle("folded", on); // on a phone, where the strip lies over the page
  element.querySelector(".strip-fold").setAttribute("aria-expanded", !on);
};
const show = async (answer) => {
  const place = card();
  if (!place) return;
  if (answer.ok) {
    const text = await answer.text();
    if (text !== last) { place.innerHTML = text; fold(false); }
    last = text;
  } else if (answer.status !== 429) {
    const { detail } = await answer.json();
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "said", textContent: detail }));
    last = null;
  }
};
const look = async () => {
  if (!card() || document.hidden || sending) return;
  try {
    const answer = await fetch("workshop/now");
    if (!sending) await show(answer);
  } catch { /* the page says itself that the server does not answer */ }
};
element.addEventListener("click", async (event) => {
  if (event.target.closest(".strip-fold")) fold(!element.classList.contains("folded"));
  const button = event.target.closest("[data-choice]"), question = element.querySelector("[data-question]");
  if (!button || !question || sending) return;
  sending = true;
  for (const other of element.querySelectorAll("[data-choice]")) other.setAttribute("aria-pressed", other === button);
  try {
    const body = JSON.stringify({ question: question.dataset.question, choice: Number(button.dataset.choice) });
    await show(await fetch("workshop/guess", { method: "POST", headers: { "Content-Type": "application/json" }, body }));
    element.querySelector(`[data-choice="${button.dataset.choice}"]`)?.focus({ preventScroll: true });
  } catch { last = null; }
  sending = false;
});
const again = () => element.isConnected && look().finally(() => setTimeout(again, 3000));
setTimeout(again, 3000);
