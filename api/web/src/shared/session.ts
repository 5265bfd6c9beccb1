// The end of a session.
import { api, Refused } from './api';

/** Sign out of this face, and unsubscribe a phone from pushes; a session that has ended is fine. */
export async function endSession(endpoint: string | null = null): Promise<void> {
  try {
    await api.delete('/v1/sessions/current', { body: { endpoint } });
  } catch (error) {
    if (!(error instanceof Refused && error.status === 401)) throw error;
  }
}
