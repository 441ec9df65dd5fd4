// Writes times in the reader's zone, with UTC beside them; without this they are in UTC alone.
(() => {
  const DAY_SECONDS = 86400;
  // Made when the first time is written: making one takes longer than the rest of this together.
  const lazily = (options) => {
    let made = null;
    return (at) => (made ??= new Intl.DateTimeFormat("en-GB", options)).format(at);
  };
  const full = lazily({
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    timeZoneName: "short",
  });
  const day = lazily({ day: "numeric", month: "short", year: "numeric" });
  const shortDay = lazily({ day: "numeric", month: "short" });
  const clock = lazily({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

  const isHere = (at) => at.getTimezoneOffset() === 0;
  const utcClock = (at) => `${at.toISOString().slice(11, 19)} UTC`;
  const sameDay = (at) => at.getDate() === at.getUTCDate();
  const local = (at, exact) => `${full(at)} (${sameDay(at) ? utcClock(at) : exact})`;

  const moment = (element, at) => {
    element.dataset.exact = local(at, element.dataset.exact);
    if (Math.abs(Date.now() - at) >= DAY_SECONDS * 1000) element.textContent = day(at);
  };

  const zoned = (element, at) => { element.textContent = local(at, element.textContent); };

  // The day stands where it begins, in the reader's zone too.
  const timeline = (list) => {
    let last = "";
    for (const element of list.querySelectorAll("time.clock")) {
      const at = new Date(element.dateTime);
      const begun = shortDay(at);
      const parts = [`${clock(at)} `];
      if (begun !== last) {
        const named = document.createElement("span");
        named.className = "timeline-day";
        named.textContent = begun;
        parts.unshift(named);
      }
      const beside = document.createElement("span");
      beside.className = "clock-utc";
      beside.textContent = utcClock(at);
      element.replaceChildren(...parts, beside);
      last = begun;
    }
  };

  const each = (root, chosen, write) => {
    for (const element of root.querySelectorAll(chosen)) {
      const at = new Date(element.dateTime ?? NaN);
      if (element.dataset.zoned || Number.isNaN(at.getTime()) || isHere(at)) continue;
      element.dataset.zoned = "true";
      write(element, at);
    }
  };

  const writeAll = (root) => {
    each(root, "time.moment", moment);
    each(root, "time.zoned", zoned);
    for (const list of root.querySelectorAll(".timeline:not([data-zoned])")) {
      const first = list.querySelector("time.clock");
      if (!first || isHere(new Date(first.dateTime))) continue;
      list.dataset.zoned = "true";
      timeline(list);
    }
  };

  writeAll(document);
  document.addEventListener("htmx:afterSettle", () => writeAll(document));
})();
