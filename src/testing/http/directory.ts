/** The header that pins a request to a directory. */
const DIRECTORY_HEADER = 'x-opencode-directory';

/** What is needed to say which directory a request is for. */
export interface DirectoryInput {
  /** The path as it was sent, with its escapes. */
  readonly rawPath: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  /** The directory of the session with this id, if there is one. */
  readonly directoryOf: (sessionID: string) => string | undefined;
  /** Where the server was started. */
  readonly cwd: string;
}

/**
 * The directory of a request, by the rule of OpenCode 1.18.33 (measured): that of the session the path names, by the raw
 * text of the path and decoded once more; else `?directory=`, decoded twice; else the header, decoded once; else the
 * server's own.
 */
export function directoryOfRequest(input: DirectoryInput): string {
  const named = /^\/session\/([^/]+)/.exec(input.rawPath)?.[1];
  const owner = named === undefined ? undefined : input.directoryOf(named);
  const given = [owner, input.query.get('directory'), input.headers.get(DIRECTORY_HEADER)];
  const first = given.find((directory) => directory !== undefined && directory !== null && directory !== '');
  return first === undefined || first === null ? input.cwd : resolve(input.cwd, decodeOnce(first));
}

/** Decodes a text; one that cannot be decoded is taken as it is. */
export function decodeOnce(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Resolves `.`, `..`, doubled and trailing slashes, and what is relative to the server's own directory. */
function resolve(cwd: string, directory: string): string {
  // Nobody asks a Windows path to be resolved: it is one spelling already.
  if (/^([A-Za-z]:)?\\|^[A-Za-z]:\//.test(directory)) return directory;
  const segments: string[] = [];
  for (const segment of (directory.startsWith('/') ? directory : `${cwd}/${directory}`).split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`;
}
