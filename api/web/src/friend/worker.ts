// The friend's service worker: displays pushes, opens their pages, sends stored answers, caches the page.
// Responses of the API are never cached.
import { answers } from './storage';
import { send } from './reply';

declare const self: ServiceWorkerGlobalScope;
declare const __FILES__: string[];

interface PushContent {
  title: string;
  navigate: string;
  body?: string;
  lang?: string;
  tag?: string;
  silent?: boolean;
  renotify?: boolean;
  requireInteraction?: boolean;
  data?: { kind?: string };
}
interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
}

const PAGE = '/friend';
const FIXED_FILES = [PAGE, '/friend.webmanifest', '/icon.svg', '/icon-192.png', '/badge.png'];
const CACHE = `tekkie-friend-${hashed(__FILES__.join())}`;
const SLOW_MS = 4000;
const RING = [250, 120, 250, 120, 400];

function hashed(text: string): string {
  let sum = 5381;
  for (const letter of text) sum = ((sum * 33) ^ letter.charCodeAt(0)) >>> 0;
  return sum.toString(36);
}

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([...FIXED_FILES, ...__FILES__])));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(deleteFormerCaches().then(() => self.clients.claim()));
});

async function deleteFormerCaches(): Promise<void> {
  const names = await caches.keys();
  const former = names.filter((name) => name.startsWith('tekkie-friend-') && name !== CACHE);
  await Promise.all(former.map((name) => caches.delete(name)));
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { pathname, origin } = new URL(request.url);
  if (request.method !== 'GET' || origin !== self.location.origin) return;
  if (request.mode === 'navigate' && /^\/friend(\/|$)/.test(pathname)) {
    event.respondWith(page(request));
  } else if (FIXED_FILES.includes(pathname) || __FILES__.includes(pathname)) {
    event.respondWith(cached(pathname).then((found) => found ?? fetch(request)));
  }
});

/** The page from the network; the cached one without network, or when it does not respond in time. */
async function page(request: Request): Promise<Response> {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(SLOW_MS) });
    if (answer.ok) return answer;
    return (await cached(PAGE)) ?? answer;
  } catch (error) {
    const found = await cached(PAGE);
    if (found) return found;
    throw error;
  }
}

async function cached(path: string): Promise<Response | undefined> {
  return (await caches.open(CACHE)).match(path);
}

self.addEventListener('push', (event) => {
  event.waitUntil(display(read(event.data)));
});

function read(data: PushMessageData | null): PushContent {
  try {
    const { notification } = data?.json() as { notification?: PushContent };
    if (notification?.title) return notification;
  } catch {
    // A push must display something even if it cannot be read, or the browser revokes the permission.
  }
  return { title: 'tekkie', navigate: PAGE };
}

/** Display a push; one about the end of an offer replaces it silently, by the tag of the booking. */
async function display(content: PushContent): Promise<void> {
  const loud = content.silent !== true;
  const options: NotificationOptions & { renotify?: boolean; vibrate?: number[] } = {
    ...(content.body ? { body: content.body } : {}),
    ...(content.lang ? { lang: content.lang } : {}),
    ...(content.tag ? { tag: content.tag, renotify: loud && content.renotify === true } : {}),
    ...(loud ? { vibrate: RING } : {}),
    silent: !loud,
    requireInteraction: loud && content.requireInteraction === true,
    icon: '/icon-192.png',
    badge: '/badge.png',
    data: { ...content.data, navigate: content.navigate },
  };
  await self.registration.showNotification(content.title, options);
}

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const { navigate } = (event.notification.data ?? {}) as { navigate?: string };
  event.waitUntil(open(navigate ?? PAGE));
});

async function open(address: string): Promise<void> {
  const { pathname } = new URL(address, self.location.origin);
  const path = pathname.startsWith(PAGE) ? pathname : PAGE;
  const windows = await self.clients.matchAll({ type: 'window' });
  const mine = windows.find((one) => new URL(one.url).pathname.startsWith(PAGE));
  if (!mine) {
    await self.clients.openWindow(path);
    return;
  }
  await mine.focus();
  mine.postMessage({ kind: 'go', path });
}

self.addEventListener('sync' as 'message', (event) => {
  const { tag, waitUntil } = event as unknown as SyncEvent;
  if (tag === 'answers') waitUntil.call(event, sendWaiting());
});

async function sendWaiting(): Promise<void> {
  for (const answer of await answers.all()) {
    if (answer.outcome) continue;
    const result = await send(answer);
    // On failure the browser calls again.
    if (result === 'later') throw new Error('no network yet');
    if (result === 'signed_out') continue;
    await answers.put({ ...answer, outcome: result });
    await notify(answer.name, answer.told[result], result === 'won' ? 'jobs' : 'offers', answer);
  }
}

async function notify(
  body: string,
  title: string,
  folder: 'jobs' | 'offers',
  { booking_id, offer_id }: { booking_id: string; offer_id: string },
): Promise<void> {
  const windows = await self.clients.matchAll({ type: 'window' });
  windows.forEach((one) => one.postMessage({ kind: 'answers' }));
  if (windows.some((one) => one.visibilityState === 'visible')) return;
  if (Notification.permission !== 'granted') return;
  const navigate = `${PAGE}/${folder}/${folder === 'jobs' ? booking_id : offer_id}`;
  await display({ title, body, tag: booking_id, navigate });
}
