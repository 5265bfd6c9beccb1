// The current view, kept in the URL: ids and queues only, never a name that was searched.
export const VIEWS = [
  'today',
  'list',
  'map',
  'friends',
  'applicants',
  'partners',
  'packages',
  'exams',
  'reviews',
  'requests',
] as const;
export type View = (typeof VIEWS)[number];
/** The parts of the view of what is decided about people. */
export const COMMUNITY = [
  'applicants',
  'exams',
  'reviews',
  'requests',
] as const satisfies readonly View[];
export const inCommunity = (view: View): boolean => COMMUNITY.some((one) => one === view);

class Place {
  view = $state<View>('today');
  queue = $state<string | null>(null);
  booking = $state<string | null>(null);
  friend = $state<string | null>(null);

  constructor() {
    this.#read();
    addEventListener('popstate', () => this.#read());
  }

  /** Change the view; what is not given stays as it is. */
  go(to: Partial<Record<'queue' | 'booking' | 'friend', string | null>> & { view?: View }): void {
    const before = this.address();
    if (to.view !== undefined) this.view = to.view;
    if (to.queue !== undefined) this.queue = to.queue;
    if (to.booking !== undefined) this.booking = to.booking;
    if (to.friend !== undefined) this.friend = to.friend;
    if (to.booking) this.friend = null;
    if (to.friend) this.booking = null;
    const after = this.address();
    if (after !== before) history.pushState(null, '', after);
  }

  address(): string {
    const query = new URLSearchParams();
    if (this.queue) query.set('queue', this.queue);
    if (this.booking) query.set('booking', this.booking);
    if (this.friend) query.set('friend', this.friend);
    const path = this.view === 'today' ? '/desk' : `/desk/${this.view}`;
    return query.size ? `${path}?${query}` : path;
  }

  #read(): void {
    const [, , word] = location.pathname.split('/');
    this.view = VIEWS.find((view) => view === word) ?? 'today';
    const query = new URLSearchParams(location.search);
    this.queue = query.get('queue');
    this.booking = query.get('booking');
    this.friend = query.get('friend');
  }
}

export const place = new Place();
