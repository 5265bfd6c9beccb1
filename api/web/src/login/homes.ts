// What happens when somebody has signed in.
import { markSignIn } from '../shared/api';
import { announceSignIn } from '../shared/live.svelte';
import { forgetPending } from './pending';

/** Where each kind of account goes after signing in. */
const HOMES = {
  friend: '/friend',
  operator: '/desk',
  account: '/account',
  dispatcher: '/company',
} as const;

/** Leave for the page of a new session; other tabs learn that their session is another one now. */
export function goHome(kind: keyof typeof HOMES): void {
  forgetPending();
  announceSignIn(HOMES[kind]);
  markSignIn();
  location.replace(HOMES[kind]);
}
