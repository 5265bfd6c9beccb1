// What this phone stores for use offline: unsent answers, and offers, which name no customer.
import type { components } from '../shared/openapi';

type Offer = components['schemas']['Offer'];

export type Reply = 'accept' | 'decline';
export type Outcome = 'won' | 'declined' | 'gone' | 'expired' | 'full' | 'day' | 'refused';

export interface Answer {
  offer_id: string;
  booking_id: string;
  /** The name of the package, for messages about the answer. */
  name: string;
  reply: Reply;
  /** The title of a notification for each outcome, in the language of the page. */
  told: Record<Outcome, string>;
  outcome?: Outcome;
}

export interface Offers {
  all: Offer[];
  /** Milliseconds by which the server's clock is ahead of this phone's. */
  ahead_ms: number;
}

const NAME = 'tekkie-friend';
const ANSWERS = 'answers';
const OFFERS = 'offers';

function openDatabase(): Promise<IDBDatabase> {
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

async function transact<T>(
  store: string,
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await openDatabase();
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
  all: () => transact<Answer[]>(ANSWERS, 'readonly', (store) => store.getAll()),
  put: (answer: Answer) => transact(ANSWERS, 'readwrite', (store) => store.put(answer)),
  drop: (offerId: string) => transact(ANSWERS, 'readwrite', (store) => store.delete(offerId)),
};

export const offers = {
  get: () => transact<Offers | undefined>(OFFERS, 'readonly', (store) => store.get(0)),
  put: (all: Offers) => transact(OFFERS, 'readwrite', (store) => store.put(all, 0)),
};

/** Delete everything. */
export function deleteStorage(): Promise<void> {
  return new Promise((done, failed) => {
    const asked = indexedDB.deleteDatabase(NAME);
    asked.onsuccess = () => done();
    asked.onerror = () => failed(asked.error);
  });
}
