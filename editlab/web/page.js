// What Gradio leaves out: answers and messages are live regions, so that a screen reader says them when they change.
() => {
  document.documentElement.lang = "en";
  const live = { message: "polite", "ask-message": "polite", "answer-edited": "polite", "ask-answers": "polite" };
  const mark = () => {
    for (const [id, how] of Object.entries(live)) document.getElementById(id)?.setAttribute("aria-live", how);
    return Object.keys(live).every((id) => document.getElementById(id)?.hasAttribute("aria-live"));
  };
  if (!mark()) {
    const watch = new MutationObserver(() => mark() && watch.disconnect());
    watch.observe(document.body, { childList: true, subtree: true });
  }
}
