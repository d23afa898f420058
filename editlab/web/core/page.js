// What Gradio leaves out: keys, live questions, an address that can be shared, and regions that a screen reader says.
() => {
  document.documentElement.lang = language;
  const byId = (id) => document.getElementById(id);
  const press = (id) => { const button = byId(id); if (button && !button.disabled) button.click(); };

  // Messages and live answers are said when they change; progress is not, or it would drown them.
  const live = { message: "polite", "gate-said": "polite", "mask-said": "polite", verdict: "polite", "ask-message": "polite", "ask-answers": "polite" };
  const mark = () => {
    for (const [id, how] of Object.entries(live)) byId(id)?.setAttribute("aria-live", how);
    return Object.keys(live).every((id) => byId(id)?.hasAttribute("aria-live"));
  };
  if (!mark()) {
    const watch = new MutationObserver(() => mark() && watch.disconnect());
    watch.observe(document.body, { childList: true, subtree: true });
  }

  // Ctrl+Enter applies from anywhere, Esc stops. Gradio would take the Enter in a field as well.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
      press("apply");
    } else if (event.key === "Escape") {
      const stops = [...document.querySelectorAll("button[id$=stop]:enabled:not(#stage-stop)")]; // the stage has its own keys
      (stops.find((button) => button.offsetParent) ?? stops[0])?.click();
    }
  }, true);

  // Gradio 6.31 gives every radio a name of its own, so that the arrows of a radio group lead nowhere.
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  document.addEventListener("keydown", (event) => {
    if (!(event.key in steps) || !event.target.matches("fieldset input[type=radio]")) return;
    const group = [...event.target.closest("fieldset").querySelectorAll("input[type=radio]:not(:disabled)")];
    const next = group.at((group.indexOf(event.target) + steps[event.key]) % group.length);
    event.preventDefault();
    next.focus();
    next.click();
  });

  // A live question goes out when the keys rest; the next one makes the lab drop it.
  // So does a threshold, however it was moved: by mouse, by key or in figures.
  const RESTS = 150, RESTS_MOVED = 350;
  let rest, moved;
  document.addEventListener("input", (event) => {
    if (event.target.closest("#ask")) {
      clearTimeout(rest);
      rest = setTimeout(() => press("ask-button"), RESTS);
    }
    if (event.target.closest("#threshold")) {
      clearTimeout(moved);
      moved = setTimeout(() => press("set-threshold"), RESTS_MOVED);
    }
    if (event.isTrusted && event.target.closest("#subject, #prompt, #target-new, #target-true")) rememberExample(null);
  }, true);

  // Workspace: the slider rests as the threshold does, jobs are looked at while one runs, a look leads to the Edit tab.
  let slid;
  document.addEventListener("input", (event) => {
    if (!event.target.closest("#workspace-moment")) return;
    clearTimeout(slid);
    slid = setTimeout(() => press("workspace-travel"), RESTS_MOVED);
  }, true);
  setInterval(() => {
    if (!document.hidden && document.querySelector("#workspace-jobs [data-open]")?.offsetParent) press("workspace-look");
  }, 2000);
  document.addEventListener("click", (event) => {
    const used = event.target.closest("#compare-table [data-press=use]")?.dataset.method;
    if (used) remember("method", used);
    if (!used && !event.target.closest("#workspace-edits [data-press=look]")) return;
    tabs().find((tab) => nameOf(tab) === "edit")?.click();
  });

  // A part that is drawn again loses its focus, and the address has the open workspace where it is shared.
  let pressed = null;
  document.addEventListener("click", (event) => {
    const { press: name, edit, workspace, job } = event.target.closest("#workspace [data-press]")?.dataset ?? {};
    if (name) pressed = { press: name, edit, workspace, job };
  }, true);
  const same = (button) => Object.entries(pressed).every(([name, value]) => button.dataset[name] === value);
  const tidy = () => {
    const tab = byId("workspace");
    if (!tab?.offsetParent) return;
    const title = tab.querySelector("#workspace-head .title");
    if (title) remember("workspace", title.dataset.shared && title.dataset.workspace);
    if (pressed && document.activeElement === document.body) {
      [...tab.querySelectorAll("[data-press]")].find(same)?.focus({ preventScroll: true });
    }
  };
  let tidied;
  new MutationObserver(() => { cancelAnimationFrame(tidied); tidied = requestAnimationFrame(tidy); })
    .observe(document.body, { childList: true, subtree: true });

  // A field cuts what is pasted at its length; the browser says nothing of it.
  document.addEventListener("paste", (event) => {
    const field = event.target, most = field.maxLength ?? 0;
    const room = most - (field.value?.length - (field.selectionEnd - field.selectionStart));
    if (most <= 0 || event.clipboardData.getData("text").length <= room) return;
    const cut = _("This field holds {n} characters. The rest of what you pasted is cut off.");
    field.setCustomValidity(cut.replace("{n}", most.toLocaleString(language)));
    field.reportValidity();
    field.addEventListener("beforeinput", () => field.setCustomValidity(""), { once: true, capture: true });
    field.addEventListener("blur", () => field.setCustomValidity(""), { once: true });
  }, true);

  // The address restores tab, workspace, preset, method, REP, mask, guard and view. Back leads to the tab before.
  const remember = (name, value, steps = false) => {
    const url = new URL(location.href);
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
    if (url.href !== location.href) history[steps ? "pushState" : "replaceState"](history.state, "", url);
  };
  // An example has a name; any other request stands in the address as a whole, as soon as it is applied.
  const FIELDS = { subject: "subject", prompt: "prompt", new: "target-new", true: "target-true" };
  const rememberExample = (name) => {
    remember("preset", name);
    for (const field of [...Object.keys(FIELDS), "run"]) remember(field, null);
  };
  const rememberRequest = () => {
    const { searchParams } = new URL(location.href);
    if (searchParams.get("preset") || document.querySelector("#preset input:checked")) return;
    for (const [name, id] of Object.entries(FIELDS)) remember(name, byId(id)?.querySelector("textarea, input")?.value);
  };
  const tabs = () => [...document.querySelectorAll("[role=tab]")];
  const nameOf = (tab) => tab.dataset.tabId;
  window.addEventListener("popstate", () => {
    const name = new URL(location.href).searchParams.get("tab");
    (tabs().find((tab) => nameOf(tab) === name) ?? tabs()[0])?.click();
  });
  document.addEventListener("change", (event) => {
    const group = event.target.closest("#preset, #method, #rep, #mask, #guard, #view");
    if (group?.id === "preset") rememberExample(event.target.value);
    else if (group && event.target.value) remember(group.id, event.target.value);
  }, true);
  document.addEventListener("click", (event) => {
    if (event.target.closest("#known [data-press], #edits [data-press=look]")) rememberExample(null);
    if (event.target.closest("#link [data-press]")) remember("run", null);
    if (event.target.closest("#link [data-press=run]")) press("apply");
    if (event.target.closest("#apply")) rememberRequest();
    const tab = event.target.closest("[role=tab]");
    if (tab && nameOf(tab) !== (new URL(location.href).searchParams.get("tab") ?? nameOf(tabs()[0]))) remember("tab", nameOf(tab), true);
  });

  // A picture that was hidden while the window changed has the old width until it is shown and told of the change.
  let resized = false;
  window.addEventListener("resize", (event) => { resized ||= event.isTrusted; });
  document.addEventListener("click", (event) => {
    if (resized && event.target.closest("[role=tab], .folded > button")) setTimeout(() => window.dispatchEvent(new Event("resize")), 100);
  });

  // A replaced model concerns all users: the page of the user who replaced it reloads, and the others show a message.
  const LOOKS = 2500;
  let exchanging = false, away = false;
  document.addEventListener("click", (event) => { if (event.target.closest("#model-load")) exchanging = true; });
  const tell = (text, then = _("Reload the page")) => {
    const news = byId("model-news");
    if (!news || news.dataset.told === (text ?? "")) return;
    news.dataset.told = text ?? "";
    news.replaceChildren();
    if (text === null) return;
    const again = Object.assign(document.createElement("a"), { href: location.href, textContent: then });
    news.append(`${text} `, ...(away ? [] : [again]));
  };
  // Gradio complains in the console of what it has not heard to the end: the event that has loaded the model ends first.
  const arrived = () => {
    if (byId("model-progress")?.textContent.trim()) return;
    exchanging = false;
    setTimeout(() => location.reload(), 400);
  };
  // Another window, or somebody else, changed the edits: seen twice in a row, so that an own change that is being drawn is none.
  // Stop says nothing here: another window's change ends the answers of this one, and leaves its buttons as they were.
  let behind = "";
  const catchUp = (now, open) => {
    const idle = !document.querySelector("#progress progress");
    const is = open && idle && now.event !== null && String(now.event) !== open.event ? `${open.workspace} ${now.event}` : "";
    if (is && is === behind) press("catch-up");
    behind = is;
  };
  const look = async () => {
    const page = document.querySelector("#head header")?.dataset;
    if (!page || document.hidden) return;
    try {
      const open = document.querySelector("#where [data-workspace]")?.dataset;
      const answer = await fetch(open ? `model?workspace=${encodeURIComponent(open.workspace)}` : "model");
      away = false;
      if (answer.status === 401) {
        tell(_("You are logged out. Your edits are kept."), _("Log in"));
        return;
      }
      const now = await answer.json();
      catchUp(now, document.querySelector("#where [data-workspace]")?.dataset);
      if (now.fingerprint !== page.model && exchanging) arrived();
      else if (now.fingerprint !== page.model) tell(_("The model is now {model}. Edits of the previous model are kept.").replace("{model}", now.model));
      else if (now.session !== page.session) tell(_("EditLab was restarted. Your edits are kept."));
      else tell(null);
      if (byId("memory")) byId("memory").textContent = now.memory;
    } catch {
      away = true;
      tell(_("EditLab does not answer. It may be restarting; your edits are kept."));
    }
  };
  const lookAgain = () => look().finally(() => setTimeout(lookAgain, LOOKS)); // never two at a time, however slow the answer
  setTimeout(lookAgain, LOOKS);
}
