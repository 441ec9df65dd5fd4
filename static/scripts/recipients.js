// Marks the field beside which a check has just found something wrong, or nothing any more.
(() => {
  document.addEventListener("htmx:afterSwap", (event) => {
    const told = event.detail.target;
    if (!told.matches("[data-checked] .told")) return;
    const field = document.getElementById(told.id.replace(/-told$/, ""));
    const bad = told.querySelector(".field-fault") !== null;
    if (bad) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    field.closest(".field").classList.toggle("field-bad", bad);
  });

  // The identifier follows the name until a person writes one; the server makes the same of a name.
  const identifier = document.querySelector("[data-suggested-from]");
  const name = identifier && document.getElementById(identifier.dataset.suggestedFrom);
  if (!name) return;
  const suggested = () => {
    const words = name.value.toUpperCase().replace(/[^A-Z0-9]+/g, "_").replace(/^[_0-9]+/, "").slice(0, 64).replace(/_+$/, "");
    return words.length >= 3 ? words : "";
  };
  let last = suggested();
  name.addEventListener("input", () => {
    const free = identifier.value === "" || identifier.value === last;
    last = suggested();
    if (free) identifier.value = last;
  });
})();
