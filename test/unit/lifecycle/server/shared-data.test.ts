import { expect, it } from 'vitest';
import { silentLogger } from '../../../../src/core/logger.js';
import { useData } from '../../../../src/lifecycle/server/shared-data.js';

it('warns once of each data directory that several servers use at a time', () => {
  const warned: unknown[] = [];
  const logger = { ...silentLogger, warn: (_message: string, data?: unknown) => void warned.push(data) };
  const end = useData('/data/a', logger);
  useData('/data/b', logger)();
  useData('/data/b', logger);
  end();
  const endNext = useData('/data/a', logger);
  expect(warned).toEqual([]);
  const endThird = useData('/data/a', logger);
  useData('/data/a', logger);
  expect(warned).toEqual([{ dataDirectory: '/data/a' }]);
  endNext();
  endThird();
  useData('/data/a', logger);
  expect(warned).toHaveLength(1);
});
