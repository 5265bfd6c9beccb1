// Who asked to join, until the address is confirmed; then the server keeps the draft.
const KEY = 'tekkie.join';

export interface Who {
  name: string;
  email: string;
  language: 'de' | 'en' | 'fr' | 'it' | 'pl';
  market: 'CH' | 'DE' | 'AT' | 'PL';
  request?: string;
}

export function readWho(): Partial<Who> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Who>;
  } catch {
    return {};
  }
}

export function keepWho(who: Partial<Who>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(who));
  } catch {
    // Without storage the form is empty after a reload.
  }
}

export function forgetWho(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Without storage nothing was kept.
  }
}
