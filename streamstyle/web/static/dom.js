// Small things that all modules use. Texts are never markup.

export const $ = id => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

export const pressed = button => button.getAttribute("aria-pressed") === "true";

export function toast(sentence, bad = false) {
  const shown = element("p", { textContent: sentence, className: bad ? "toast bad" : "toast" });
  $("toasts").append(shown);
  setTimeout(() => shown.remove(), bad ? 9000 : 4500);
}

// Do it, and say what went wrong.
export async function tried(work) {
  try {
    return await work();
  } catch (error) {
    toast(error.message, true);
    return null;
  }
}

// Ask for a name in a dialog; null where nobody gives one.
export function named(title, proposal = "") {
  const dialog = $("naming"), input = $("naming-name");
  $("naming-title").textContent = title;
  input.value = proposal;
  dialog.returnValue = "cancel";
  $("naming-cancel").onclick = () => dialog.close("cancel"); // submits nothing: Enter presses the first that does
  dialog.showModal();
  input.select();
  return new Promise(resolve => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? input.value : null), { once: true });
  });
}
