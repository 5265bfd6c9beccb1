// Whether this phone can ring, and what prevents it.
import { api } from '../shared/api';

/** Why this phone cannot ring. */
export type Hindrance =
  'home_screen' | 'no_push' | 'insecure' | 'denied' | 'dismissed' | 'no_service';

const TIMEOUT_MS = 12_000;

export function isApple(): boolean {
  return /iPhone|iPad|iPod/.test(navigator.userAgent);
}

function installed(): boolean {
  return matchMedia('(display-mode: standalone)').matches;
}

/** Ask for permission and subscribe; must be called in a tap, or the browser does not ask. */
export async function enable(): Promise<Hindrance | undefined> {
  if (isApple() && !installed()) return 'home_screen';
  if (!isSecureContext) return 'insecure';
  if (!('PushManager' in window) || !('Notification' in window)) return 'no_push';
  const allowed = await Notification.requestPermission();
  if (allowed !== 'granted') return allowed === 'denied' ? 'denied' : 'dismissed';
  try {
    await withTimeout(subscribe());
    return undefined;
  } catch (error) {
    if (error instanceof DOMException) return 'no_service';
    throw error;
  }
}

async function subscribe(): Promise<void> {
  const worker = await navigator.serviceWorker.ready;
  const { key } = await api.get('/v1/push-key');
  const applicationServerKey = bytes(key);
  const former = await worker.pushManager.getSubscription();
  if (former && !equal(former.options.applicationServerKey, applicationServerKey)) {
    await former.unsubscribe();
  }
  const options = { userVisibleOnly: true, applicationServerKey };
  const { endpoint, keys } = (await worker.pushManager.subscribe(options)).toJSON();
  const { p256dh = '', auth = '' } = keys ?? {};
  const body = { endpoint: endpoint ?? '', keys: { p256dh, auth } };
  await api.post('/v1/me/push-subscriptions', { body });
}

/** Browsers without a push service may never respond. */
function withTimeout<T>(work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, failed) =>
    setTimeout(() => failed(new DOMException('late', 'AbortError')), TIMEOUT_MS),
  );
  return Promise.race([work, late]);
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function equal(one: ArrayBuffer | null, other: Uint8Array): boolean {
  const have = new Uint8Array(one ?? new ArrayBuffer(0));
  return have.length === other.length && have.every((byte, place) => byte === other[place]);
}
