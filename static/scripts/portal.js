// What JavaScript adds to the portal's pages; every page works without it.
(() => {
  const COPIED_MILLISECONDS = 2000;
  const REFRESH_MILLISECONDS = 20000;
  const TOAST_MILLISECONDS = 8000;

  // Elements that only make sense with JavaScript come hidden.
  const reveal = (root) => {
    for (const element of root.querySelectorAll("[data-copy][hidden], .with-script[hidden]")) {
      element.hidden = false;
    }
  };

  // Where tabs have no room for all, the current one is in sight.
  const showTab = (root) => {
    for (const current of root.querySelectorAll(".tabs [aria-current]")) {
      const row = current.parentElement;
      row.scrollLeft = current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
    }
  };

  const copy = async (button) => {
    const news = button.parentElement.querySelector("[role=status]");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      news.textContent = "Copied";
    } catch {
      news.textContent = "The browser did not allow it; select and copy by hand";
    }
    setTimeout(() => { news.textContent = ""; }, COPIED_MILLISECONDS);
  };

  // The same words as the server writes.
  const relative = (seconds, written) => {
    const unit = (length) => Math.floor(Math.abs(seconds) / length);
    const say = (words) => (seconds < 0 ? `in ${words}` : `${words} ago`);
    if (Math.abs(seconds) < 10) return "just now";
    if (Math.abs(seconds) < 60) return say(`${unit(1)} s`);
    if (Math.abs(seconds) < 3600) return say(`${unit(60)} min`);
    if (Math.abs(seconds) < 86400) return say(`${unit(3600)} h`);
    return written;
  };

  const refreshMoments = () => {
    for (const element of document.querySelectorAll("time.moment")) {
      const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
      element.textContent = relative(seconds, element.textContent);
    }
  };

  // A toast goes after a while, but not while somebody reads it with the pointer or the keyboard.
  const settle = (toast) => {
    setTimeout(() => {
      if (toast.matches(":hover, :focus-within")) settle(toast);
      else toast.remove();
    }, TOAST_MILLISECONDS);
  };

  const announce = (sentence) => {
    const region = document.getElementById("toasts");
    if (!region) return;
    const toast = document.createElement("div");
    toast.className = "toast";
    const text = document.createElement("p");
    text.textContent = sentence;
    toast.append(text);
    region.append(toast);
    settle(toast);
  };

  // What stood in a live region when the page came is not read out; put in again, it is.
  const sayAgain = () => {
    for (const toast of document.querySelectorAll(".toast")) {
      const text = toast.querySelector("p");
      const sentence = text.textContent;
      text.textContent = "";
      requestAnimationFrame(() => { text.textContent = sentence; });
      settle(toast);
    }
  };

  // Details that drop down close when one goes elsewhere or presses Escape.
  const closeDropDowns = (except) => {
    for (const details of document.querySelectorAll("details.switcher[open], details.menu-narrow[open]")) {
      if (!details.contains(except)) details.open = false;
    }
  };

  // A dialog opens by its popover where there is no JavaScript; with it, it is modal: the focus stays inside, and goes
  // back to the button.
  const open = (dialog) => {
    dialog.removeAttribute("popover");
    if (!dialog.open) dialog.showModal();
  };
  const toggleKeys = () => {
    const keys = document.getElementById("keys");
    if (keys?.open) keys.close();
    else if (keys) open(keys);
  };
  const onDialog = (event) => {
    if (event.target.tagName === "DIALOG" && event.target.open) {
      const box = event.target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right
        && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside && event.detail) event.target.close();
      return;
    }
    const button = event.target.closest("button[popovertarget]");
    const dialog = button && document.getElementById(button.getAttribute("popovertarget"));
    if (dialog?.tagName !== "DIALOG") return;
    event.preventDefault();
    if (button.getAttribute("popovertargetaction") === "hide") dialog.close();
    else open(dialog);
  };

  const isTyping = (element) => element.closest("input, textarea, select, [contenteditable], .ace_editor") !== null;

  const onKey = (event) => {
    if (event.key === "Escape") {
      const open = document.activeElement.closest("details.switcher[open], details.menu-narrow[open]");
      closeDropDowns(null);
      if (open) open.querySelector("summary").focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (!search) return;
      event.preventDefault();
      search.focus();
      search.select();
    }
    if (event.key === "?") toggleKeys();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    const closing = event.target.closest(".toast-close");
    if (closing) closing.closest(".toast").remove();
    closeDropDowns(event.target);
  });
  document.addEventListener("click", onDialog);
  document.addEventListener("carillon:keys", toggleKeys);
  document.addEventListener("carillon:say", (event) => announce(event.detail));
  document.addEventListener("keydown", onKey);
  document.addEventListener("htmx:afterSwap", () => {
    reveal(document);
    showTab(document);
  });
  // A part that refreshes itself says by itself that it could not. What a person asked for says so here.
  const isAsked = (event) => event.detail.requestConfig.triggeringEvent && !event.detail.elt.matches("[data-live]");
  document.addEventListener("htmx:responseError", (event) => {
    if (isAsked(event)) announce("That did not work. Reload the page and try again.");
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (isAsked(event)) announce("Carillon cannot be reached. Check your connection.");
  });
  setInterval(refreshMoments, REFRESH_MILLISECONDS);
  reveal(document);
  showTab(document);
  sayAgain();
})();
