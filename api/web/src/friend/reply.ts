// Sends one answer, from the page or from the worker; sending it again changes nothing.
import type { Answer, Outcome } from './storage';

const TIMEOUT_MS = 15_000;
const CODES: Record<string, Outcome> = {
  'offer-gone': 'gone',
  'offer-expired': 'expired',
  'at-capacity': 'full',
  'too-many-jobs-today': 'day',
  'not-found': 'gone',
};

/** The outcome; `later` when it is unknown (no network, overload), `signed_out` without a session. */
export async function send(answer: Answer): Promise<Outcome | 'later' | 'signed_out'> {
  let response: Response;
  let code: unknown;
  try {
    response = await fetch(`/v1/offers/${answer.offer_id}/${answer.reply}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      cache: 'no-store',
    });
    code = ((await response.json()) as { code?: unknown }).code;
  } catch {
    return 'later';
  }
  if (response.ok) return answer.reply === 'accept' ? 'won' : 'declined';
  const { status } = response;
  if (status === 401) return 'signed_out';
  if (status === 408 || status === 429 || status >= 500) return 'later';
  return CODES[String(code)] ?? 'refused';
}
