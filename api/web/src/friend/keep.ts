// What this phone keeps for when there is no network: answers that wait, and offers, which name no customer.
import type { components } from '../shared/openapi';

type Offer = components['schemas']['Offer'];

export type Reply = 'accept' | 'decline';
export type Outcome = 'won' | 'declined' | 'gone' | 'expired' | 'full' | 'refused';

export interface Answer {
  offer_id: string;
  booking_id: string;
  /** The package, to say later what became of which. */
  name: string;
  reply: Reply;
  /** What to show in a notification if nobody looks when it is known. */
  told: Record<Outcome, string>;
  outcome?: Outcome;
}

export interface Offers {
  all: Offer[];
  /** Milliseconds the server's clock was ahead of this phone's. */
  ahead_ms: number;
}

const NAME = 'tekkie-friend';
const ANSWERS = 'answers';
const OFFERS = 'offers';

function opened(): Promise<IDBDatabase> {
  return new Promise((done, failed) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore(ANSWERS, { keyPath: 'offer_id' });
      asked.result.createObjectStore(OFFERS);
    };
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

async function within<T>(
  store: string,
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await opened();
  try {
    return await new Promise<T>((done, failed) => {
      const transaction = database.transaction(store, mode);
      const asked = work(transaction.objectStore(store));
      transaction.oncomplete = () => done(asked.result);
      transaction.onerror = transaction.onabort = () => failed(transaction.error);
    });
  } finally {
    database.close();
  }
}

export const answers = {
  all: () => within<Answer[]>(ANSWERS, 'readonly', (store) => store.getAll()),
  put: (answer: Answer) => within(ANSWERS, 'readwrite', (store) => store.put(answer)),
  drop: (offerId: string) => within(ANSWERS, 'readwrite', (store) => store.delete(offerId)),
};

export const offers = {
  get: () => within<Offers | undefined>(OFFERS, 'readonly', (store) => store.get(0)),
  put: (kept: Offers) => within(OFFERS, 'readwrite', (store) => store.put(kept, 0)),
};

/** Nothing of it is left. */
export function forget(): Promise<void> {
  return new Promise((done, failed) => {
    const asked = indexedDB.deleteDatabase(NAME);
    asked.onsuccess = () => done();
    asked.onerror = () => failed(asked.error);
  });
}
