import { describe, expect, it } from 'vitest';
import { JarvisOpenCode, RepoPathError, type ServerHandle } from 'jarvis-opencode';
import { fakeHandle } from '../../support/server-handle.js';

/** A client of a handle with these properties, and the paths of the requests that it sends by itself. */
function clientOf(properties: Partial<ServerHandle>): { jarvis: JarvisOpenCode; sent: string[] } {
  const sent: string[] = [];
  const jarvis = new JarvisOpenCode(
    { ...fakeHandle(), ...properties },
    {
      fetch: (input) => {
        sent.push(new URL(input instanceof Request ? input.url : String(input)).pathname);
        return new Promise(() => undefined);
      },
    },
  );
  return { jarvis, sent };
}

describe('a handle of your own', () => {
  it('is of a server of somebody else when it has no pid: no event stream until a subscription', () => {
    const { jarvis, sent } = clientOf({});
    expect(sent).toEqual([]);
    expect(jarvis.forRepo('/no/such/directory').directory).toBe('/no/such/directory');
  });

  it('is of an own server on this machine when it has a pid: events from the start, local paths', () => {
    const { jarvis, sent } = clientOf({ pid: process.pid });
    expect(sent).toEqual(['/global/event']);
    expect(() => jarvis.forRepo('/no/such/directory')).toThrow(RepoPathError);
  });

  it('is of an own server elsewhere when it says isOwned without a pid: events from the start, remote paths', () => {
    const { jarvis, sent } = clientOf({ isOwned: true });
    expect(sent).toEqual(['/global/event']);
    expect(jarvis.forRepo('/no/such/directory').directory).toBe('/no/such/directory');
  });

  it('is of a server of somebody else when it denies isOwned in spite of a pid', () => {
    const { jarvis, sent } = clientOf({ pid: process.pid, isOwned: false });
    expect(sent).toEqual([]);
    expect(jarvis.forRepo('/no/such/directory').directory).toBe('/no/such/directory');
  });
});
