// The colour and the icon of a friend's state.
import type { FriendRow } from '../types';
import type { Tone } from '../words';

export const FRIENDS: Record<FriendRow['state'], { tone: Tone; icon: string }> = {
  active: { tone: 'good', icon: '✓' },
  paused: { tone: 'warn', icon: '‖' },
  suspended: { tone: 'bad', icon: '✕' },
  applicant: { tone: 'plain', icon: '…' },
};
