import { afterEach, describe, expect, it, vi } from 'vitest';
import { nodePlatform } from '../../../../src/app/platform/node.js';

afterEach(() => vi.unstubAllGlobals());

describe('the WebSocket for terminals on Node', () => {
  it("is the runtime's own where it has one", async () => {
    class Own {}
    vi.stubGlobal('WebSocket', Own);
    expect(await nodePlatform.loadWebSocket()).toBe(Own);
  });

  it('is that of the package ws elsewhere', async () => {
    vi.stubGlobal('WebSocket', undefined);
    const { WebSocket } = await import('ws');
    const loaded = await nodePlatform.loadWebSocket();
    expect(Object.getPrototypeOf(loaded)).toBe(WebSocket);
  });
});
