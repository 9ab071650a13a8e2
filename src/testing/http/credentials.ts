/** Says whether a request may pass: by Basic authentication, or by `?auth_token=` with the same text. */
export class Credentials {
  readonly #token: string | undefined;

  /** @param password - without one everybody may. */
  constructor(username: string, password: string | undefined) {
    this.#token = password === undefined ? undefined : base64(`${username}:${password}`);
  }

  accepts(request: Request): boolean {
    if (this.#token === undefined) return true;
    if (request.headers.get('authorization') === `Basic ${this.#token}`) return true;
    return new URL(request.url).searchParams.get('auth_token') === this.#token;
  }
}

/** Works without Buffer, also for what is not Latin-1. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
