// Labels that say what they mean. A label names its meaning, a popover, by `data-meaning`; for Gradio's own labels that is
// done here, again after each drawing. A meaning opens on hover, focus, Enter and tap, closes on Esc, and takes no room.
const WAITS = 250;
const CHOICE = "input[type=radio], input[type=checkbox]", HOST = `button, summary, a, label:has(> ${CHOICE.replace(",", ", >")})`;
const ENDS = /\s*[:,(：，（]/;
let open = null, held = false, timer, pending;

const hide = () => {
  clearTimeout(timer);
  if (open?.meaning.isConnected) open.meaning.hidePopover();
  open = null;
  held = false;
};
const show = (label, hold = false) => {
  clearTimeout(timer);
  if (open?.label !== label) {
    hide();
    const meaning = document.getElementById(label.dataset.meaning);
    if (!meaning || !label.isConnected) return;
    meaning.showPopover({ source: label });
    open = { label, meaning };
  }
  held ||= hold;
};

document.addEventListener("pointerover", ({ target, pointerType }) => {
  if (pointerType === "touch") return;
  const label = target.closest("[data-meaning]");
  clearTimeout(timer);
  if (label) timer = setTimeout(show, WAITS, label);
  else if (!held && !target.closest(".gloss")) timer = setTimeout(hide, WAITS);
});
document.addEventListener("pointerdown", ({ target }) => {
  if (!target.closest("[data-meaning], .gloss")) hide();
}, true);
// A label within a button, a choice or a fold is reached with it; any other is a button itself.
document.addEventListener("focusin", ({ target }) => {
  const place = target.matches(CHOICE) ? target.closest("label") : target;
  const label = place?.matches("[data-meaning]") ? place : place?.matches(HOST) && place.querySelector("[data-meaning]");
  if (label && target.matches(":focus-visible")) show(label, true);
});
document.addEventListener("focusout", hide);
document.addEventListener("click", (event) => {
  const label = event.target.closest("[data-meaning]");
  if (!label) return;
  if (label.closest(HOST)) {
    if (event.pointerType === "touch") show(label, true);
    return;
  }
  event.preventDefault(); // a label would give the focus to its field
  if (open?.label === label && held) hide();
  else show(label, true);
});
window.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && open) hide();
  else if (["Enter", " "].includes(event.key) && event.target.matches?.("[data-meaning][role=button]")) show(event.target, true);
  else return;
  event.preventDefault();
  event.stopImmediatePropagation(); // Esc stops an edit where no meaning is open
}, true);

const labelOf = (name) => {
  const [part, choice] = name.split(".");
  const own = ':scope > button > span, [data-testid="block-info"], .label-text';
  return document.getElementById(part)?.querySelector(choice ? `input[value="${choice}"] + span` : own);
};
const marks = globalThis.Highlight && new Highlight();
const mark = (label) => {
  const host = label.closest(HOST);
  if (!host && label.role !== "button") Object.assign(label, { role: "button", tabIndex: 0 });
  (host?.querySelector(CHOICE) ?? host ?? label).setAttribute("aria-describedby", label.dataset.meaning);
  const texts = document.createTreeWalker(label, NodeFilter.SHOW_TEXT), range = new Range();
  let text = texts.nextNode();
  while (text && !text.data.trim()) text = texts.nextNode();
  if (!marks || !text) return;
  const end = text.data.trimEnd().search(ENDS);
  range.setStart(text, text.data.search(/\S/));
  range.setEnd(text, end < 0 ? text.data.trimEnd().length : end);
  marks.add(range);
};
const draw = () => {
  pending = null;
  if (open && !(open.label.isConnected && open.meaning.isConnected)) hide();
  for (const { id, dataset } of element.querySelectorAll("[data-at]")) {
    for (const name of dataset.at.split(" ")) labelOf(name)?.setAttribute("data-meaning", id);
  }
  marks?.clear();
  document.querySelectorAll("[data-meaning]").forEach(mark);
};
if (marks) CSS.highlights.set("term", marks);
new MutationObserver(() => { pending ??= requestAnimationFrame(draw); })
  .observe(document.body, { childList: true, subtree: true, characterData: true });
draw();
