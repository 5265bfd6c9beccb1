// One answer on its way, from the page or from the worker: sent again it changes nothing.
import type { Answer, Outcome } from './keep';

const TIMEOUT_MS = 15_000;
const CODES: Record<string, Outcome> = {
  'offer-gone': 'gone',
  'offer-expired': 'expired',
  'at-capacity': 'full',
  'not-found': 'gone',
};

/** What became of it; `later` when nobody could say, `signed_out` when nobody knows who asks. */
export async function send(answer: Answer): Promise<Outcome | 'later' | 'signed_out'> {
  let said: Response;
  let code: unknown;
  try {
    said = await fetch(`/v1/offers/${answer.offer_id}/${answer.reply}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      cache: 'no-store',
    });
    code = ((await said.json()) as { code?: unknown }).code;
  } catch {
    return 'later';
  }
  if (said.ok) return answer.reply === 'accept' ? 'won' : 'declined';
  if (said.status === 401) return 'signed_out';
  if (said.status === 408 || said.status === 429 || said.status >= 500) return 'later';
  return CODES[String(code)] ?? 'refused';
}
