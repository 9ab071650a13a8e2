/** The header that pins a request to a directory. */
const DIRECTORY_HEADER = 'x-opencode-directory';

/** The parts of a request that decide its directory. */
export interface DirectoryInput {
  /** The path as it was sent, percent-encoded. */
  readonly rawPath: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  /** Gives the directory of a session; `undefined` for an unknown id. */
  readonly directoryOf: (sessionID: string) => string | undefined;
  /** The directory of the server. */
  readonly cwd: string;
}

/**
 * The directory of a request, by the rule of OpenCode 1.18.33: the directory of the session whose id is in the raw path,
 * decoded once more; else `?directory=`, decoded twice; else the header, decoded once; else the directory of the server.
 */
export function directoryOfRequest(input: DirectoryInput): string {
  const named = /^\/session\/([^/]+)/.exec(input.rawPath)?.[1];
  const owner = named === undefined ? undefined : input.directoryOf(named);
  const given = [owner, input.query.get('directory'), input.headers.get(DIRECTORY_HEADER)];
  const first = given.find((directory) => directory !== undefined && directory !== null && directory !== '');
  return first === undefined || first === null ? input.cwd : resolve(input.cwd, decodeOnce(first));
}

/** Decodes percent-encoded text; returns text that cannot be decoded as it is. */
export function decodeOnce(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Resolves `.`, `..`, double and trailing slashes, and a path relative to the directory of the server. */
function resolve(cwd: string, directory: string): string {
  // A Windows path arrives in one spelling already.
  if (/^([A-Za-z]:)?\\|^[A-Za-z]:\//.test(directory)) return directory;
  const segments: string[] = [];
  for (const segment of (directory.startsWith('/') ? directory : `${cwd}/${directory}`).split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`;
}
