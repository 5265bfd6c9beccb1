// What went wrong and what to do about it, in one sentence.
import { Refused, Unreachable } from '../shared/api';
import { say, type Key } from './say';

export function cure(error: unknown): string {
  if (error instanceof Unreachable) return say('refused.unreachable');
  if (!(error instanceof Refused)) return say('refused.unknown');
  const key = `refused.${error.code}` as Key;
  const said = say(key);
  if (said !== key) return said;
  const field = error.errors[0];
  return field
    ? `${field.field}: ${field.problem}; ${field.cure}`
    : error.detail || say('refused.unknown');
}
