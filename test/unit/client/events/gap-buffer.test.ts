import { describe, expect, it } from 'vitest';
import type { OpenCodeEvent } from 'jarvis-opencode';
import { GapBuffer } from '../../../../src/client/events/gap-buffer.js';

function event(id: string): OpenCodeEvent {
  return { directory: '/srv/app', id, type: 'session.idle', properties: { sessionID: 'ses_1' } };
}

function afterGap(): GapBuffer {
  const gap = new GapBuffer();
  gap.begin();
  gap.noteDelivery();
  gap.begin();
  return gap;
}

describe('GapBuffer', () => {
  it('sees no gap before the first delivery, and holds nothing back', () => {
    const gap = new GapBuffer();
    expect(gap.begin()).toBe(false);
    expect(gap.begin()).toBe(false);
    expect(gap.hasDelivered).toBe(false);
    expect(gap.hold(event('1'), 10)).toBe(false);
  });

  it('sees a gap before each connection after the first delivery', () => {
    const gap = afterGap();
    expect(gap.hasDelivered).toBe(true);
    expect(gap.begin()).toBe(true);
  });

  it('returns the events that it held back in the order of their arrival, with their length', () => {
    const gap = afterGap();
    expect(gap.hold(event('1'), 10)).toBe(true);
    expect(gap.hold(event('2'), 20)).toBe(true);
    const { dropped, events } = gap.end();
    expect(dropped).toBe(0);
    expect([...events].map(({ event: { id }, bytes }) => [id, bytes])).toEqual([
      ['1', 10],
      ['2', 20],
    ]);
  });

  it('holds nothing back after the end of the gap', () => {
    const gap = afterGap();
    gap.end();
    expect(gap.hold(event('1'), 10)).toBe(false);
  });

  it('drops the events that an earlier connection held back, which the next gap covers', () => {
    const gap = afterGap();
    gap.hold(event('1'), 10);
    gap.begin();
    gap.hold(event('2'), 10);
    expect([...gap.end().events].map((held) => held.event.id)).toEqual(['2']);
  });

  it('counts the dropped events when more than 10,000 events came', () => {
    const gap = afterGap();
    for (let count = 0; count <= 10_000; count += 1) gap.hold(event(String(count)), 1);
    const { dropped, events } = gap.end();
    expect(dropped).toBe(10_000);
    expect([...events].map((held) => held.event.id)).toEqual(['10000']);
  });
});
