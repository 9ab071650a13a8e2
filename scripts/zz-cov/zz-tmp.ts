import { readFileSync } from 'node:fs';
import { CALLS } from '/work/main/scripts/zz-cov/calls.js';
import { EXCLUSIONS } from '/work/main/scripts/zz-cov/exclusions.js';
import { measure } from '/work/main/scripts/zz-cov/measure.js';
const doc = JSON.parse(readFileSync('/tmp/doc.json', 'utf8'));
const t = Date.now();
const r = await measure(doc, CALLS, EXCLUSIONS, { newer: process.argv.includes('newer') });
console.log('ms', Date.now() - t);
console.log({
  total: r.coverage.total,
  covered: r.coverage.covered.length,
  excluded: r.coverage.excluded.length,
});
console.log(r.coverage.covered.map((c) => c.operation + '  ' + c.by.join(', ')).join('\n'));
console.log({
  missing: r.coverage.missing,
  unknown: r.unknown,
  refused: r.refused.slice(0, 40),
  failed: r.failed,
  uncalled: r.uncalled,
  idle: r.idleExclusions,
  unused: r.unused.map((u) => u.operation + ': ' + u.fields.join(',')),
});
