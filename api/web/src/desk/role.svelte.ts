// What the signed-in operator may do. The API decides; the desk only leaves out what it would refuse.
import type { Schema } from '../shared/api';

export type Role = Schema<'OperatorRole'>;

const RANKS: readonly Role[] = ['viewer', 'dispatcher', 'admin'];

class Own {
  role = $state<Role>('viewer');

  /** Whether the role includes another one. */
  may(least: Role): boolean {
    return RANKS.indexOf(this.role) >= RANKS.indexOf(least);
  }
}

export const own = new Own();
