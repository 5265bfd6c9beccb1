// The customer's link: 22 characters of the booking's id, then the secret.
const ID_LETTERS = 22;
const CONFIRMATION = /^#([\w-]{43})$/;
const TOKEN = /^\/job\/([\w-]{65})$/;

export function tokenOf(path: string): string {
  return TOKEN.exec(path)?.[1] ?? '';
}

/** What the link of the confirmation mail carries; else empty. */
export function codeOf(hash: string): string {
  return CONFIRMATION.exec(hash)?.[1] ?? '';
}

export function bookingOf(token: string): string | undefined {
  if (!token) return undefined;
  const base64 = token.slice(0, ID_LETTERS).replace(/-/g, '+').replace(/_/g, '/');
  const bytes = [...atob(base64)].map((letter) => letter.charCodeAt(0));
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
