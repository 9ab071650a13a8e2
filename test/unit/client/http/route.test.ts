import { describe, expect, it } from 'vitest';
import { route } from '../../../../src/client/http/route.js';

describe('route', () => {
  it('puts every parameter of a route in its place', () => {
    expect(route`/session/${'ses_1'}/message/${'msg_2'}`).toBe('/session/ses_1/message/msg_2');
    expect(route`/session`).toBe('/session');
  });

  it.each([
    ['a/b', 'a%2Fb'],
    ['a?b=c', 'a%3Fb%3Dc'],
    ['a#b', 'a%23b'],
    ['a%2Fb', 'a%252Fb'],
    ['%2e%2e', '%252e%252e'],
    ['a b', 'a%20b'],
    ['../up', '..%2Fup'],
    ['ü日🦊', '%C3%BC%E6%97%A5%F0%9F%A6%8A'],
    ['...', '...'],
  ])('keeps the parameter %j in one segment of the path', (id, encoded) => {
    const path = route`/session/${id}/abort`;
    expect(path).toBe(`/session/${encoded}/abort`);
    // What a URL parser makes of it: still three segments, and the id comes back as it went in.
    const segments = new URL(path, 'http://host').pathname.split('/');
    expect(segments).toHaveLength(4);
    expect(decodeURIComponent(segments[2] ?? '')).toBe(id);
  });

  it.each(['', '.', '..', '\ud800', 'a\udc00b'])(
    'refuses the parameter %j, which would be another path',
    (id) => {
      expect(() => route`/session/${id}`).toThrow(TypeError);
      expect(() => route`/session/${id}`).toThrow(JSON.stringify(id));
    },
  );

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [7, 'number'],
    [{ id: 'ses_1' }, 'object'],
  ])('refuses the parameter %j and says what it got', (id, got) => {
    const build = (): string => route`/session/${id as unknown as string}`;
    expect(build).toThrow(TypeError);
    expect(build).toThrow(new RegExp(`expected an id to be a non-empty string, got ${got}`, 'i'));
  });
});
