// Dates and times are those of the clocks where the job is, whatever zone the device is in.
const DAY_MS = 86_400_000;

let place = $state<string>();

/** Show times by the clocks of this IANA zone; by the device's until it is known. */
export function setZone(timezone: string | undefined): void {
  place = timezone;
}

export function zone(): string | undefined {
  return place;
}

/** 2026-03-02T14:00 by the clocks of a zone. */
export function wallTime(at: Date, timeZone = place): string {
  const format = { dateStyle: 'short', timeStyle: 'short', timeZone } as const;
  // Swedish writes a date and a time in the order of ISO 8601.
  return new Intl.DateTimeFormat('sv', format).format(at).replace(' ', 'T');
}

/** CET: the name of the zone, where the device's clock shows another time at this moment. */
export function zoneName(at: Date, locale: string, timeZone = place): string {
  const device = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!timeZone || wallTime(at, timeZone) === wallTime(at, device)) return '';
  const parts = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: 'short' });
  return parts.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? timeZone;
}

/**
 * The moment at which the clocks of the place show a day and a time, the earlier of two in autumn;
 * undefined for a time that is skipped in spring.
 */
export function momentOf(day: string, hour: string): Date | undefined {
  const shown = `${day}T${hour}`;
  const utc = Date.parse(`${shown}Z`);
  if (Number.isNaN(utc)) return undefined;
  const ahead = [utc - DAY_MS, utc + DAY_MS].map((near) => aheadOfUtc(new Date(near)));
  const moments = ahead.map((by) => new Date(utc - by)).sort((one, other) => +one - +other);
  return moments.find((at) => wallTime(at) === shown);
}

function aheadOfUtc(at: Date): number {
  return Date.parse(`${wallTime(at)}Z`) - Math.floor(at.getTime() / 60_000) * 60_000;
}

/** The day so many days after another, as 2026-03-02. */
export function dayAfter(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}
