// What a refused change of the base or the areas says, and what is sent of an area.
import { Refused, type Schema } from '../shared/api';
import { time } from '../shared/i18n.svelte';
import { refusalText } from './action.svelte';
import { say } from './say';

export type Area = Schema<'AreaUpdate'>;

export function moveRefusal(refused: unknown): string {
  if (!(refused instanceof Refused) || refused.code !== 'base-moved-lately')
    return refusalText(refused);
  const [again] =
    /\d{4}-\d\d-\d\dT[\d:]+Z/.exec(`${refused.detail} ${refused.errors[0]?.cure}`) ?? [];
  return again ? say('base.lately', { time: time(again) }) : say('base.later');
}

export function round(degrees: number): number {
  return Math.round(degrees * 1e6) / 1e6;
}

/** The area as it is sent: what follows from the rest is left out. */
export function toSend({ kind, lat, lon, radius_m, minutes, outline }: Area): Area {
  if (kind === 'polygon') return { kind, outline };
  return { kind, lat, lon, ...(kind === 'circle' ? { radius_m } : { minutes }) } as Area;
}
