// Parts that refresh themselves: quiet while nobody looks, count-downs that count, and news for those who listen.
(() => {
  const SECOND = 1000;

  // Nothing is asked for while the tab is hidden, nor while a dialog of the part is open: it would go with it.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const live = event.target.closest("[data-live]");
    if (!live || event.target !== live) return;
    if (document.hidden || live.querySelector("dialog:is([open], :popover-open)")) event.preventDefault();
  });

  // A part that cannot be refreshed says since when it is not true any more, and goes on as soon as it can.
  const RETRY_SECONDS = 5;
  let good = new Date();
  let stale = null;
  const goOn = () => {
    if (stale) window.dispatchEvent(new Event("focus"));
  };
  const tellStale = (live) => {
    if (stale) return;
    stale = document.createElement("p");
    stale.className = "notice notice-warning stale-state";
    stale.setAttribute("role", "status");
    const since = good.toLocaleTimeString("en-GB");
    stale.textContent = `Not up to date: Carillon has not answered since ${since}. It is asked again every few seconds.`;
    live.before(stale);
  };
  const tellGood = () => {
    good = new Date();
    stale?.remove();
    stale = null;
  };
  const isRefresh = (event) => event.detail.requestConfig?.verb === "get" && event.detail.elt?.matches?.("[data-live]");
  for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(name, (event) => {
      if (isRefresh(event)) tellStale(event.detail.elt);
    });
  }
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (isRefresh(event) && event.detail.xhr.status < 400) tellGood();
  });
  window.addEventListener("online", goOn);
  setInterval(goOn, RETRY_SECONDS * SECOND);

  const clockFace = (seconds) => {
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    if (hours >= 48) return `${Math.floor(hours / 24)} days`;
    return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
  };

  const count = () => {
    for (const element of document.querySelectorAll("[data-countdown]")) {
      const seconds = Math.round((Date.parse(element.dateTime) - Date.now()) / SECOND);
      element.textContent = seconds > 0 ? `in ${clockFace(seconds)}` : "now";
    }
  };

  // What one has opened stays open when its part comes anew. What had the focus has it again: htmx finds it by its
  // id, this by what it says. If it is gone, the part has the focus, so that Tab goes on from there.
  const told = (element) => {
    const words = element.dataset.copy || element.getAttribute("href") || element.textContent.trim();
    return `${element.tagName} ${words}`;
  };
  const keep = (part, wanted) => {
    const same = [...part.querySelectorAll("a, button, summary, [tabindex]")].find((one) => told(one) === wanted);
    if (!same) part.tabIndex = -1;
    (same || part).focus({ preventScroll: true });
  };

  let open = [];
  let kept = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const active = document.activeElement;
    open = [...event.target.querySelectorAll("details[open][id]")].map((details) => details.id);
    kept = event.target.id && event.target.contains(active) ? [event.target.id, told(active)] : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    const part = kept && document.getElementById(kept[0]);
    if (part && document.activeElement === document.body) keep(part, kept[1]);
    kept = null;
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    open = [];
    count();
  });

  setInterval(count, SECOND);
  count();
})();
