// Signing out: no more pushes to this phone, and nothing stays stored on it.
import { endSession } from '../shared/session';
import { deleteStorage } from './storage';

export async function signOut(): Promise<void> {
  const worker = await navigator.serviceWorker?.getRegistration('/friend');
  const phone = await worker?.pushManager?.getSubscription().catch(() => null);
  await endSession(phone?.endpoint);
  await phone?.unsubscribe().catch(() => false);
  const notifications = (await worker?.getNotifications?.()) ?? [];
  notifications.forEach((notification) => notification.close());
  await worker?.unregister();
  // Over plain http there is no cache storage.
  for (const name of (await window.caches?.keys()) ?? []) await caches.delete(name);
  await deleteStorage();
  location.replace('/login');
}
