// Passkeys: what the browser offers, in the JSON of the API.
type Options = Record<string, unknown>;

/** Whether this browser can make and use passkeys in the JSON form. */
export const passkeysWork = (): boolean =>
  typeof PublicKeyCredential === 'function' &&
  typeof PublicKeyCredential.parseRequestOptionsFromJSON === 'function';

/** A new passkey as JSON; throws when the person declines. */
export async function createPasskey(options: Options): Promise<Options> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as never);
  return json(await navigator.credentials.create({ publicKey }));
}

/** The signature of a passkey as JSON; throws when the person declines. */
export async function usePasskey(options: Options): Promise<Options> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as never);
  return json(await navigator.credentials.get({ publicKey }));
}

function json(credential: Credential | null): Options {
  if (!(credential instanceof PublicKeyCredential)) throw new Error('no passkey');
  return credential.toJSON() as unknown as Options;
}
