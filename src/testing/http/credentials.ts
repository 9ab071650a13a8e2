/** Checks the password of requests: Basic authentication, or `?auth_token=` with the same base64 text. */
export class Credentials {
  readonly #token: string | undefined;

  /** @param password - `undefined` accepts every request. */
  constructor(username: string, password: string | undefined) {
    this.#token = password === undefined ? undefined : base64(`${username}:${password}`);
  }

  accepts(request: Request): boolean {
    if (this.#token === undefined) return true;
    if (request.headers.get('authorization') === `Basic ${this.#token}`) return true;
    return new URL(request.url).searchParams.get('auth_token') === this.#token;
  }
}

/** Encodes UTF-8 text as base64 without `Buffer`, which a browser does not have. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
