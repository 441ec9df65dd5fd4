// What JavaScript adds to the portal's pages; every page works without it.
(() => {
  const COPIED_MILLISECONDS = 2000;
  const REFRESH_MILLISECONDS = 20000;

  // Elements that only make sense with JavaScript come hidden.
  const reveal = (root) => {
    for (const element of root.querySelectorAll("[data-copy][hidden], .with-script[hidden]")) {
      element.hidden = false;
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
    if (seconds < 10) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return written;
  };

  const refreshMoments = () => {
    for (const element of document.querySelectorAll("time.moment")) {
      const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
      element.textContent = relative(seconds, element.textContent);
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("htmx:afterSettle", () => reveal(document));
  setInterval(refreshMoments, REFRESH_MILLISECONDS);
  reveal(document);
})();
