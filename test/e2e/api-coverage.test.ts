import { RequestError, type JarvisOpenCode } from 'jarvis-opencode';
import { beforeAll, describe, expect, it } from 'vitest';
import { CALLS, type Call } from '../../scripts/api-coverage/calls.js';
import { matchOperation, operationsOf, type OpenApi } from '../../scripts/api-coverage/doc.js';
import { EXCLUSIONS, excludes } from '../../scripts/api-coverage/exclusions.js';
import { measure, readDoc, type Measurement } from '../../scripts/api-coverage/measure.js';
import { problemsOf, problemsOfText, samplesOf } from '../../scripts/api-coverage/schema.js';
import { realJarvis } from '../support/real-jarvis.js';

describe('the methods of this library and the document of the real server', () => {
  let doc: OpenApi;
  let now: Measurement;
  let newer: Measurement;

  beforeAll(async () => {
    await using real = await realJarvis();
    doc = await readDoc(real.jarvis);
    now = await measure(doc, CALLS, EXCLUSIONS);
    newer = await measure(doc, CALLS, EXCLUSIONS, { newer: true });
  });

  it('meet in every operation that is not excluded with a reason', () => {
    expect(now.coverage.missing).toEqual([]);
    const { total, covered, excluded } = now.coverage;
    expect(covered.length + excluded.length).toBe(total);
    expect(total).toBe(Object.values(doc.paths).flatMap((methods) => Object.keys(methods)).length);
  });

  it('agree on every method, path, query and body that is sent', () => {
    expect(now.unknown).toEqual([]);
  });

  it('agree on every answer the document allows', () => {
    expect(now.refused).toEqual([]);
  });

  it('agree on every answer of a server that has fields and enum members more', () => {
    expect(newer.refused).toEqual([]);
    expect(newer.failed).toEqual([]);
  });

  it('are compared by calls that succeed, one at least for every public method', () => {
    expect(now.failed).toEqual([]);
    expect(now.uncalled).toEqual([]);
  });

  it('leave out only what the lists of reasons name', () => {
    expect(now.idleExclusions).toEqual([]);
    expect(now.unused).toEqual(DELIBERATELY_UNUSED);
  });

  it('knows the real server: what it calls an operation exists there', async () => {
    await using real = await realJarvis();
    await using repo = await real.repo();
    await expect(real.jarvis.forRepo(repo.directory).sessions.get('ses_none')).rejects.toThrow(RequestError);
    expect(await statusOf(real.jarvis, '/path')).toMatch(/json/);
    expect(await statusOf(real.jarvis, '/no-such-path')).toMatch(/html/);
  });
});
