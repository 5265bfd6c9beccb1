// The request whose code is still to be typed. A phone may reload the app while its mail is read.
const KEY = 'tekkie.login';
const LIFE_MS = 60 * 60_000;

export interface Pending {
  request: string;
  email: string;
}

export function readPending(): Pending | undefined {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    if (kept && Date.now() - kept.at < LIFE_MS) return kept;
  } catch {
    // Nothing readable is kept.
  }
  return undefined;
}

export function keepPending(pending: Pending): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...pending, at: Date.now() }));
  } catch {
    // Without storage the code must be typed before the page is reloaded.
  }
}

export function forgetPending(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Without storage nothing was kept.
  }
}
