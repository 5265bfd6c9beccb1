/** Where each kind of account goes after signing in. */
export const HOMES = { friend: '/friend', operator: '/desk' } as const;
