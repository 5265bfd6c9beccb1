// What the signed-in operator may do. The API decides; the desk only leaves out what it would refuse.
import type { Schema } from '../shared/api';

export type Role = Schema<'OperatorRole'>;

class Own {
  role = $state<Role>('viewer');

  /** Whether the role includes another one. */
  may(least: Role): boolean {
    return this.role === 'admin' || least === 'viewer' || this.role === least;
  }
}

export const own = new Own();
