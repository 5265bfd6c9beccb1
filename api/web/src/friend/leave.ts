// Signing out: this phone rings no more and keeps nothing.
import { api, Refused } from '../shared/api';
import { forget } from './keep';

export async function leave(): Promise<void> {
  const worker = await navigator.serviceWorker?.getRegistration('/friend');
  const phone = await worker?.pushManager?.getSubscription().catch(() => null);
  try {
    await api.delete('/v1/sessions/current', { body: { endpoint: phone?.endpoint ?? null } });
  } catch (error) {
    // Somebody already signed out is to be forgotten all the same.
    if (!(error instanceof Refused && error.status === 401)) throw error;
  }
  await phone?.unsubscribe().catch(() => false);
  const shown = (await worker?.getNotifications?.()) ?? [];
  shown.forEach((notification) => notification.close());
  await worker?.unregister();
  // Over plain http there is no such store at all.
  for (const name of (await window.caches?.keys()) ?? []) await caches.delete(name);
  await forget();
  location.replace('/login');
}
