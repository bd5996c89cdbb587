// Light or dark theme: the system's, until the user chooses one.

const KEY = "inferlog-theme";
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

/** Put the earlier choice in force. */
export function restore() {
  apply(stored());
  prefersDark.addEventListener("change", notify);
}

export function isDark() {
  return (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
}

export function toggle() {
  const wanted = isDark() ? "light" : "dark";
  apply(wanted);
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // A browser that keeps nothing for us shows the choice until the page is closed.
  }
  notify();
}

/** Call `listener` when the colours change; returns how to stop that. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The value of a colour of theme.css, for drawing without CSS. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function apply(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function notify() {
  for (const listener of listeners) listener();
}
