// What is typed outlives the end of a session: it is kept in this tab when the page is left for the sign-in page, and
// offered when the page is there again, to the same person. Passwords, files and hidden fields are left out.
(() => {
  const KEPT = "carillon-typed";
  const who = document.querySelector(".account-name a")?.title || "";
  if (!who) return;
  const key = `${KEPT}:${who}:${location.pathname}`;

  const isText = (field) => field.name && !["hidden", "password", "file", "submit", "button"].includes(field.type);
  const isChosen = (field) => field.type === "checkbox" || field.type === "radio";
  const isChanged = (field) => {
    if (isChosen(field)) return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((one) => one.selected !== one.defaultSelected);
    return field.value !== field.defaultValue;
  };
  const forms = () => [...document.querySelectorAll('main form[method="post"]')];
  const addressOf = (form) => form.getAttribute("action") || "";

  const keep = () => {
    const typed = forms().flatMap((form) => [...form.elements].filter(isText).filter(isChanged).map((field) => ({
      action: addressOf(form),
      name: field.name,
      value: field.value,
      checked: isChosen(field) ? field.checked : null,
    })));
    try {
      if (typed.length) sessionStorage.setItem(key, JSON.stringify(typed));
    } catch {
      // A full or forbidden store keeps nothing; the page goes on.
    }
  };

  const read = () => {
    try {
      return JSON.parse(sessionStorage.getItem(key)) || [];
    } catch {
      return [];
    }
  };

  const fieldsFor = (one) => forms().filter((form) => addressOf(form) === one.action)
    .flatMap((form) => [...form.elements])
    .filter((field) => field.name === one.name && (one.checked === null || field.value === one.value));
  const differs = (one) => fieldsFor(one).some((field) => (
    one.checked === null ? field.value !== one.value : field.checked !== one.checked
  ));

  const putBack = (one) => {
    for (const field of fieldsFor(one)) {
      if (one.checked === null) field.value = one.value;
      else field.checked = one.checked;
      // The code editor stands over the source; it writes back by itself.
      if (field.hidden) field.form.dispatchEvent(new CustomEvent("editor:replace", { detail: one.value }));
      else for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
    }
  };

  const buttonFor = (words, className, act) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className, textContent: words });
    button.addEventListener("click", act);
    return button;
  };

  const offer = (typed) => {
    const notice = document.createElement("div");
    notice.className = "notice notice-warning kept-notice";
    notice.setAttribute("role", "status");
    const words = document.createElement("p");
    words.textContent = "Your session had ended while you were writing here. What you had typed is still there.";
    const actions = document.createElement("div");
    actions.className = "actions";
    const done = () => {
      sessionStorage.removeItem(key);
      notice.remove();
    };
    actions.append(
      buttonFor("Put it back", "button", () => { typed.forEach(putBack); done(); }),
      buttonFor("Discard it", "button-quiet", done),
    );
    notice.append(words, actions);
    document.getElementById("main").prepend(notice);
  };

  // htmx is led to the sign-in page by a header; the editor says itself when it is.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.getResponseHeader("HX-Redirect")?.startsWith("/portal/sign-in")) keep();
  });
  document.addEventListener("carillon:signed-out", keep);

  const typed = read().filter(differs);
  if (typed.length) offer(typed);
  else sessionStorage.removeItem(key);
})();
