// Shows that something is under way: a bar while a page loads, a mark on the button that was pressed. A form is sent once.
(() => {
  const BAR_MILLISECONDS = 150;
  const LONGEST_MILLISECONDS = 15000;
  const root = document.documentElement;
  let waiting = 0;
  let sent = null;

  const rest = () => {
    clearTimeout(waiting);
    root.classList.remove("loading");
    if (sent) {
      sent.form.removeAttribute("aria-busy");
      sent.button?.removeAttribute("aria-disabled");
      sent.button?.classList.remove("busy");
    }
    sent = null;
  };
  const begin = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      root.classList.add("loading");
      // What is downloaded opens no page.
      waiting = setTimeout(rest, LONGEST_MILLISECONDS);
    }, BAR_MILLISECONDS);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const elsewhere = link.target || link.hasAttribute("download") || link.origin !== location.origin;
    const samePage = link.pathname === location.pathname && link.search === location.search && link.hash;
    if (!elsewhere && !samePage) begin();
  });
  // Last of all, so that a script which sends the form itself has said so.
  window.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.target) return;
    if (sent?.form === event.target) {
      event.preventDefault();
      return;
    }
    rest();
    sent = { form: event.target, button: event.submitter };
    begin();
    event.target.setAttribute("aria-busy", "true");
    event.submitter?.setAttribute("aria-disabled", "true");
    event.submitter?.classList.add("busy");
  });
  // A page that one comes back to is at rest.
  window.addEventListener("pageshow", rest);
})();
