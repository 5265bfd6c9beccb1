// The friend's service worker: rings, opens what rang, sends answers that waited, and keeps the page itself.
// Nothing that the API says is ever kept here.
import { answers } from './keep';
import { send } from './reply';

declare const self: ServiceWorkerGlobalScope;
declare const __FILES__: string[];

interface Said {
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
const AROUND = [PAGE, '/friend.webmanifest', '/icon.svg', '/icon-192.png', '/badge.png'];
const CACHE = `tekkie-friend-${hashed(__FILES__.join())}`;
const SLOW_MS = 4000;
const RING = [250, 120, 250, 120, 400];

function hashed(text: string): string {
  let sum = 5381;
  for (const letter of text) sum = ((sum * 33) ^ letter.charCodeAt(0)) >>> 0;
  return sum.toString(36);
}

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([...AROUND, ...__FILES__])));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(forgetFormer().then(() => self.clients.claim()));
});

async function forgetFormer(): Promise<void> {
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
  } else if (AROUND.includes(pathname) || __FILES__.includes(pathname)) {
    event.respondWith(kept(pathname).then((found) => found ?? fetch(request)));
  }
});

/** The newest page there is; the kept one without network, or when the network only seems to be there. */
async function page(request: Request): Promise<Response> {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(SLOW_MS) });
    if (answer.ok) return answer;
    return (await kept(PAGE)) ?? answer;
  } catch (error) {
    const found = await kept(PAGE);
    if (found) return found;
    throw error;
  }
}

async function kept(path: string): Promise<Response | undefined> {
  return (await caches.open(CACHE)).match(path);
}

self.addEventListener('push', (event) => {
  event.waitUntil(show(read(event.data)));
});

function read(data: PushMessageData | null): Said {
  try {
    const { notification } = data?.json() as { notification?: Said };
    if (notification?.title) return notification;
  } catch {
    // A push nobody understands still has to show something, or the phone forbids the next one.
  }
  return { title: 'tekkie', navigate: PAGE };
}

/** What is over lies down, silently, on what rang: both bear the tag of the booking. */
async function show(said: Said): Promise<void> {
  const loud = said.silent !== true;
  const options: NotificationOptions & { renotify?: boolean; vibrate?: number[] } = {
    ...(said.body ? { body: said.body } : {}),
    ...(said.lang ? { lang: said.lang } : {}),
    ...(said.tag ? { tag: said.tag, renotify: loud && said.renotify === true } : {}),
    ...(loud ? { vibrate: RING } : {}),
    silent: !loud,
    requireInteraction: loud && said.requireInteraction === true,
    icon: '/icon-192.png',
    badge: '/badge.png',
    data: { ...said.data, navigate: said.navigate },
  };
  await self.registration.showNotification(said.title, options);
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
    const said = await send(answer);
    // Failing has the browser ask again.
    if (said === 'later') throw new Error('no network yet');
    if (said === 'signed_out') continue;
    await answers.put({ ...answer, outcome: said });
    await tell(answer.name, answer.told[said], said === 'won' ? 'jobs' : 'offers', answer);
  }
}

async function tell(
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
  await show({ title, body, tag: booking_id, navigate });
}
