// The message of an error: what went wrong and what to do about it, in one sentence.
import { Refused, Unreachable } from '../shared/api';
import { say, type Key } from './say';

/** The problem codes with a text of their own; of any other the API's own words are displayed. */
const TEXTS: Record<string, Key> = {
  'wrong-state': 'refused.wrong-state',
  'friend-unfit': 'refused.friend-unfit',
  'at-capacity': 'refused.at-capacity',
  'notes-full': 'refused.notes-full',
  'name-taken': 'refused.name-taken',
  'not-found': 'refused.not-found',
  'still-needed': 'refused.still-needed',
  'package-changed': 'refused.package-changed',
};

export function errorMessage(error: unknown): string {
  if (error instanceof Unreachable) return say('refused.unreachable');
  if (!(error instanceof Refused)) return say('refused.unknown');
  const key = TEXTS[error.code];
  if (key) return say(key);
  const field = error.errors[0];
  return field
    ? `${field.field}: ${field.problem}; ${field.cure}`
    : error.detail || say('refused.unknown');
}
