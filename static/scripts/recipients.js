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
})();
