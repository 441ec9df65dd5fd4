// The editor's preview while one types, its own saves, and its keys. Without it the form does the same by its buttons.
(() => {
  const form = document.getElementById("editor");
  if (!form) return;
  const PREVIEW_MILLISECONDS = 75;
  const SAVE_MILLISECONDS = 2000;
  const source = form.elements.source;
  const news = document.getElementById("news");
  const preview = document.getElementById("preview");
  const stage = document.getElementById("stage");
  const frame = document.getElementById("frame");
  const publish = document.getElementById("publish");

  const say = (sentence) => {
    if (news.textContent !== sentence) news.textContent = sentence;
  };

  const send = (address, action, signal) => {
    const body = new URLSearchParams(new FormData(form));
    body.set("action", action);
    return fetch(address, { method: "POST", body, signal, headers: { "HX-Request": "true" } });
  };

  // Whoever is no longer signed in is led to the sign-in page; what was not saved is kept until they are back.
  let leaving = false;
  const ledAway = (answer) => {
    const address = answer.headers.get("HX-Redirect");
    if (!address) return false;
    leaving = true;
    document.dispatchEvent(new Event("carillon:signed-out"));
    location.assign(address);
    return true;
  };

  const parsed = async (answer) => {
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    return holder.content;
  };

  // --- The preview -------------------------------------------------------------------------------------------------

  const chosenView = () => form.elements.view.value;

  // The frame's document cannot be measured from outside, so the stage scrolls in its stead and keeps its place.
  const measure = () => {
    const panes = document.getElementById("panes");
    const height = panes.dataset[chosenView() === "phone" ? "heightPhone" : "heightDesktop"];
    if (height) frame.style.height = `${Math.max(Number(height), stage.clientHeight)}px`;
  };

  const showFrame = (address) => {
    stage.hidden = !address;
    if (!address || frame.dataset.shown === address) return;
    frame.dataset.shown = address;
    // Replacing leaves no trace in the browser's history.
    try {
      frame.contentWindow.location.replace(address);
    } catch {
      frame.src = address;
    }
  };

  const mark = () => {
    const marks = [...document.querySelectorAll("#problems .problem[data-line]")]
      .filter((one) => one.dataset.place === "source")
      .map((one) => ({
        line: Number(one.dataset.line),
        kind: one.dataset.kind,
        text: one.querySelector(".problem-text").textContent,
      }));
    form.dispatchEvent(new CustomEvent("editor:marks", { detail: marks }));
    const fault = document.querySelector('#problems .problem-error[data-place="sample"] .problem-text');
    const told = document.getElementById("sample-fault");
    told.hidden = !fault;
    told.querySelector("[data-sentence]").textContent = fault ? fault.textContent : "";
    const sample = form.elements.sample;
    sample.toggleAttribute("aria-invalid", Boolean(fault));
    if (fault) sample.setAttribute("aria-invalid", "true");
    sample.closest(".field").classList.toggle("field-bad", Boolean(fault));
  };

  const show = (content) => {
    const problems = content.getElementById("problems");
    document.getElementById("problems").replaceWith(problems);
    mark();
    say(problems.dataset.summary);
    const panes = content.getElementById("panes");
    const works = !panes.classList.contains("panes-none");
    const had = !document.getElementById("panes").classList.contains("panes-none");
    preview.classList.toggle("stale", !works && had);
    preview.querySelector(".stale-news").hidden = works || !had;
    if (!works && had) return;
    document.getElementById("panes").replaceWith(panes);
    showFrame(panes.dataset.frame);
    measure();
  };

  let asked = 0;
  let asking = null;
  let previewTimer = 0;

  const refresh = async () => {
    clearTimeout(previewTimer);
    asked += 1;
    const number = asked;
    if (asking) asking.abort();
    asking = new AbortController();
    try {
      const answer = await send(form.dataset.preview, "preview", asking.signal);
      if (ledAway(answer)) return;
      if (!answer.ok) throw new Error(String(answer.status));
      const content = await parsed(answer);
      if (number === asked) show(content);
    } catch (error) {
      if (error.name !== "AbortError" && number === asked) {
        say("The preview could not be refreshed. Your text is still here; it is tried again when you go on.");
        preview.classList.add("stale");
      }
    }
    if (number === asked) asking = null;
  };

  // A key after a pause is answered at once; of many in a row, the last one after a moment.
  let keyAt = 0;
  const refreshSoon = () => {
    clearTimeout(previewTimer);
    const isFirst = !asking && Date.now() - keyAt > PREVIEW_MILLISECONDS;
    keyAt = Date.now();
    previewTimer = setTimeout(refresh, isFirst ? 0 : PREVIEW_MILLISECONDS);
  };

  // --- Saving ------------------------------------------------------------------------------------------------------

  let unsaved = false;
  let saving = false;
  let conflict = false;
  let saveTimer = 0;

  const took = async (answer) => {
    if (ledAway(answer)) return;
    if (answer.status === 409) {
      conflict = true;
      document.getElementById("conflict").replaceWith((await parsed(answer)).getElementById("conflict"));
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const saved = (await parsed(answer)).getElementById("saved");
    if (!("unsaved" in saved.dataset)) {
      for (const field of document.querySelectorAll('input[name="revision"]')) field.value = saved.dataset.revision;
      for (const part of document.querySelectorAll(".with-draft")) part.hidden = false;
      publish.className = "button";
    } else unsaved = true;
    document.getElementById("saved").replaceWith(saved);
  };

  const save = async (aloud) => {
    clearTimeout(saveTimer);
    if (saving || conflict) return;
    saving = true;
    unsaved = false;
    try {
      await took(await send(form.getAttribute("action"), "save"));
      if (aloud && !unsaved && !conflict) say("The draft is saved.");
    } catch {
      unsaved = true;
      say("The draft could not be saved. Your text is still here; it is tried again in a moment.");
    }
    saving = false;
    if (unsaved) saveTimer = setTimeout(save, SAVE_MILLISECONDS);
  };

  // --- Formatting --------------------------------------------------------------------------------------------------

  const format = async () => {
    const before = source.value;
    try {
      const answer = await send(form.getAttribute("action"), "format");
      if (ledAway(answer)) return;
      if (!answer.ok) throw new Error(String(answer.status));
      const made = (await parsed(answer)).getElementById("formatted");
      // Who went on typing meanwhile keeps what they typed.
      if (source.value !== before) return;
      const text = made.querySelector("textarea").value;
      if (text !== before) form.dispatchEvent(new CustomEvent("editor:replace", { detail: text }));
      document.dispatchEvent(new CustomEvent("carillon:say", { detail: made.dataset.said }));
    } catch {
      document.dispatchEvent(new CustomEvent("carillon:say", { detail: "It could not be formatted. Try again in a moment." }));
    }
  };

  const MADE_OF = new Set(["source", "subject", "sample", "mode", "format", "name", "language"]);
  const KEPT = new Set(["source", "subject", "name", "format", "language", "quiet_seconds", "max_wait_seconds", "max_items", "digest"]);

  const changed = (event) => {
    const name = event.target.name;
    if (MADE_OF.has(name)) refreshSoon();
    if (KEPT.has(name)) {
      unsaved = true;
      clearTimeout(saveTimer);
      saveTimer = setTimeout(save, SAVE_MILLISECONDS);
    }
    if (name === "view") {
      measure();
      // A letter is laid out when somebody looks at it.
      if (event.target.value === "letter") refresh();
    }
    if (name === "name") form.querySelector("h1").textContent = event.target.value;
  };

  const pickSample = (select) => {
    const text = select.selectedOptions[0]?.dataset.text;
    if (text === undefined) return;
    form.elements.sample.value = text;
    form.elements.mode.value = text.trimStart().startsWith("[") ? "BATCH" : "NORMAL";
    refresh();
  };

  form.addEventListener("input", changed);
  form.addEventListener("change", (event) => {
    if (event.target.name === "sample_name") pickSample(event.target);
  });
  form.addEventListener("submit", (event) => {
    const action = event.submitter?.value;
    if (action === "preview") {
      event.preventDefault();
      refresh();
    } else if (action === "format") {
      event.preventDefault();
      format();
    } else if (action === "save" && !conflict) {
      event.preventDefault();
      save(true);
    } else {
      unsaved = false;
      clearTimeout(saveTimer);
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-go-to]");
    if (!link) return;
    event.preventDefault();
    form.dispatchEvent(new CustomEvent("editor:line", { detail: Number(link.dataset.goTo) }));
  });
  document.addEventListener("keydown", (event) => {
    if (event.shiftKey && event.altKey && !event.ctrlKey && !event.metaKey && event.code === "KeyF") {
      event.preventDefault();
      event.stopPropagation();
      format();
      return;
    }
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    const act = { s: () => save(true), Enter: refresh }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }, { capture: true });
  // The page takes the code editor for a field; once Escape has left its text, the list of keys can be asked for.
  document.getElementById("code").addEventListener("keydown", (event) => {
    if (event.key === "?" && event.target.tagName !== "TEXTAREA") document.dispatchEvent(new Event("carillon:keys"));
  });
  document.addEventListener("htmx:afterSettle", () => refresh());
  window.addEventListener("beforeunload", (event) => {
    if (unsaved && !leaving) event.preventDefault();
  });
  window.addEventListener("resize", measure);

  frame.dataset.shown = frame.getAttribute("src") || "";
  stage.classList.add("scrolls");
  measure();
  mark();
  form.addEventListener("editor:ready", mark);
})();
