// Passkeys: what the browser answers goes into the form that asked. Without JavaScript, codes do.
(() => {
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) return;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const { answer } = form.elements;
    const fault = form.querySelector("[data-passkey-fault]");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      if (answer.value) return;
      event.preventDefault();
      fault.hidden = true;
      const asked = JSON.parse(form.dataset.options);
      try {
        const given = form.dataset.passkey === "create"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
        answer.value = JSON.stringify(given.toJSON());
        form.requestSubmit(event.submitter);
      } catch {
        fault.hidden = false;
      }
    });
  }
  for (const without of document.querySelectorAll("[data-passkey-without]")) without.hidden = true;
})();
