// The API as the pages see it: typed by openapi.d.ts, refusals as values that name fields.
import { clock } from './clock.svelte';
import type { components, paths } from './openapi';

export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Does<P extends keyof paths, M extends Method> =
  paths[P] extends Record<M, infer Operation> ? Exclude<Operation, undefined> : never;
type PathOf<M extends Method> = {
  [P in keyof paths]: [Does<P, M>] extends [never] ? never : P;
}[keyof paths];

type Json<R> = R extends { content: infer C } ? C[keyof C] : undefined;
type Answered<O> = O extends { responses: infer R }
  ? Json<R[Extract<keyof R, 200 | 201 | 202 | 204>]>
  : never;
type Part<O, Name extends string> = O extends { parameters: infer P }
  ? Name extends keyof P
    ? Exclude<P[Name], undefined>
    : never
  : never;
type Body<O> = O extends { requestBody?: infer B }
  ? Exclude<B, undefined> extends { content: { 'application/json': infer J } }
    ? J
    : never
  : never;

interface Always {
  /** The token of a customer's link; without it the session cookie is used. */
  token?: string | undefined;
  /** The proof of work that a refusal asked for. */
  proof?: string | undefined;
  /** Keeps the idempotency key of a create over its retries. */
  once?: Once;
  signal?: AbortSignal;
  timeoutMs?: number;
}
type Given<Name extends string, Value> = [Value] extends [never]
  ? { [N in Name]?: never }
  : { [N in Name]: Value };
type Asked<O> = Always &
  Given<'path', Part<O, 'path'>> &
  ([Part<O, 'query'>] extends [never] ? { query?: never } : { query?: Part<O, 'query'> }) &
  ([Body<O>] extends [never] ? { body?: never } : { body?: Body<O> });

export interface FieldError {
  field: string;
  problem: string;
  cure: string;
  suggestions?: string[];
}

/** The API refused: `code` is stable, `errors` names the fields to correct. */
export class Refused extends Error {
  override name = 'Refused';
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly errors: FieldError[] = [],
    readonly more: Record<string, unknown> = {},
  ) {
    super(detail);
  }

  /** What is wrong with a field, in one sentence. */
  of(field: string): string | undefined {
    const found = this.errors.find((error) => error.field === field);
    return found && `${found.problem}: ${found.cure}`;
  }
}

/** No response: no network, no server, or too slow. */
export class Unreachable extends Error {
  override name = 'Unreachable';
  constructor(readonly why: 'offline' | 'timeout' | 'server') {
    super(why);
  }
}

/**
 * The idempotency key of one create: it stays while the same body is sent again. With a name it
 * survives a reload of the tab too.
 */
export class Once {
  #key = '';
  #body = '';
  #name: string | undefined;

  constructor(name?: string) {
    this.#name = name;
    const [key, body] = name ? keptPair(name) : [];
    if (key && body) [this.#key, this.#body] = [key, body];
  }

  key(body: string): string {
    if (!this.#key || body !== this.#body) {
      this.#key = newKey();
      this.#body = body;
      if (this.#name) keepPair(this.#name, [this.#key, body]);
    }
    return this.#key;
  }

  done(): void {
    this.#key = '';
    if (this.#name) keepPair(this.#name, []);
  }
}

/** Not randomUUID: browsers do not offer it over plain http. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function keptPair(name: string): string[] {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? '[]') as string[];
  } catch {
    return [];
  }
}

function keepPair(name: string, pair: string[]): void {
  try {
    if (pair.length) sessionStorage.setItem(name, JSON.stringify(pair));
    else sessionStorage.removeItem(name);
  } catch {
    // Without storage a reload begins a new create.
  }
}

const SIGN_IN_KEY = 'tekkie.signed_in';

/** Tell the next page of this tab that somebody has just signed in. */
export function markSignIn(): void {
  try {
    sessionStorage.setItem(SIGN_IN_KEY, '1');
  } catch {
    // Without storage the page does not know.
  }
}

/** Whether somebody has just signed in; true once. */
export function signedInJustNow(): boolean {
  try {
    const marked = sessionStorage.getItem(SIGN_IN_KEY) !== null;
    sessionStorage.removeItem(SIGN_IN_KEY);
    return marked;
  } catch {
    return false;
  }
}

const TIMEOUT_MS = 15_000;
const TRIES = 3;
const WAIT_MS = 600;
const BUSY = new Set([502, 503, 504]);

interface Plain extends Always {
  path?: object | undefined;
  query?: object | undefined;
  body?: unknown;
}

async function call(method: Method, template: string, asked: Plain): Promise<unknown> {
  const body = asked.body === undefined ? undefined : JSON.stringify(asked.body);
  const headers = headersOf(method, asked, body);
  const again = method !== 'post' && method !== 'patch' ? TRIES : asked.once ? TRIES : 1;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await one(urlOf(template, asked), method, headers, body, asked);
      asked.once?.done();
      return answer;
    } catch (error) {
      if (attempt >= again || asked.signal?.aborted || !isTransient(error)) throw error;
      await pause(WAIT_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}

/** Which face sends the request: a friend who also works at the desk has two sessions at once. */
export function face(): string {
  return location.pathname.split('/', 2)[1] || 'book';
}

function headersOf(method: Method, asked: Plain, body: string | undefined): Headers {
  const headers = new Headers({ Accept: 'application/json' });
  // With the cookie the API takes changes only as JSON, also where there is no body.
  if (method !== 'get') headers.set('Content-Type', 'application/json');
  if (asked.token) headers.set('Authorization', `Bearer ${asked.token}`);
  else headers.set('Tekkie-Face', face());
  if (asked.once) headers.set('Idempotency-Key', asked.once.key(body ?? ''));
  if (asked.proof) headers.set('Proof-Of-Work', asked.proof);
  headers.set('Accept-Language', document.documentElement.lang || 'en');
  return headers;
}

async function one(
  url: string,
  method: Method,
  headers: Headers,
  body: string | undefined,
  asked: Plain,
): Promise<unknown> {
  const late = AbortSignal.timeout(asked.timeoutMs ?? TIMEOUT_MS);
  const signal = asked.signal ? AbortSignal.any([asked.signal, late]) : late;
  const init: RequestInit = { method: method.toUpperCase(), headers, signal, cache: 'no-store' };
  if (body !== undefined) init.body = body;
  const sent = Date.now();
  let response: Response;
  let data: unknown;
  try {
    response = await fetch(url, init);
    data = await read(response);
  } catch (error) {
    if (asked.signal?.aborted) throw error;
    if (late.aborted) throw new Unreachable('timeout');
    throw new Unreachable(navigator.onLine ? 'server' : 'offline');
  }
  if (!response.ok) throw refused(response.status, data);
  if (isObject(data) && typeof data.server_time === 'string') clock.sync(data.server_time, sent);
  return data;
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

function refused(status: number, problem: unknown): Error {
  if (!isObject(problem) || typeof problem.code !== 'string') {
    return BUSY.has(status) ? new Unreachable('server') : new Refused(status, 'unknown', '');
  }
  const errors = Array.isArray(problem.errors) ? (problem.errors as FieldError[]) : [];
  return new Refused(status, problem.code, String(problem.detail ?? ''), errors, problem);
}

function isTransient(error: unknown): boolean {
  if (error instanceof Refused) return BUSY.has(error.status);
  return error instanceof Unreachable && error.why !== 'offline';
}

function urlOf(template: string, asked: Plain): string {
  const values = (asked.path ?? {}) as Record<string, unknown>;
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(values[name])),
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked.query ?? {})) {
    if (value !== undefined && value !== null) query.set(name, String(value));
  }
  return query.size ? `${path}?${query}` : path;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

type Verb<M extends Method> = <P extends PathOf<M>>(
  path: P,
  asked?: Asked<Does<P, M>>,
) => Promise<Answered<Does<P, M>>>;
const verb =
  <M extends Method>(method: M): Verb<M> =>
  (path, asked) =>
    call(method, path, (asked ?? {}) as Plain) as never;

export const api = {
  get: verb('get'),
  post: verb('post'),
  put: verb('put'),
  patch: verb('patch'),
  delete: verb('delete'),
};
