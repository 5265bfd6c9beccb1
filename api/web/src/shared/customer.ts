// Whether a customer is probably signed in on this device, so that other visitors cause no request.
const KEY = 'tekkie.account';

export function keepSignedIn(is: boolean): void {
  try {
    if (is) localStorage.setItem(KEY, '1');
    else localStorage.removeItem(KEY);
  } catch {
    // Without storage the booking page does not greet.
  }
}

export function maybeSignedIn(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}
