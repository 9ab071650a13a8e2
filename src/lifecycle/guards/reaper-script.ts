/**
 * What the reaper's shell runs, for any POSIX shell. Its arguments: the runtime for {@link REAPER_SCRIPT} (or nothing) and the
 * marker. Each line of its input is a task, `pid json`, and the last one counts; an empty line takes the task back. Without the
 * script it kills the group and what carries the marker (`/proc`), and where there is no `/proc` the tree below the server.
 */
export const REAPER_SHELL = `
trap '' HUP INT TERM
pid=; task=
while IFS= read -r line; do pid=\${line%% *}; task=\${line#* }; done
[ -n "$pid" ] || exit 0
[ -n "$1" ] && printf '%s' "$task" | "$1" -e "$JARVIS_OPENCODE_REAPER" && exit 0
for round in 1 2 3; do
  if [ -r /proc/self/environ ]; then
    left=$(grep -als -- "$2" /proc/[0-9]*/environ | cut -d/ -f3)
  else
    left=$(ps -Ao pid=,ppid= | awk -v root="$pid" '{ parent[$1] = $2 } END {
      if (root > 1) { ours[root]; do { n = 0; for (p in parent) if (!(p in ours) && parent[p] in ours) { ours[p]; n = 1 } } while (n) }
      for (p in ours) print p }')
  fi
  [ "$pid" -gt 1 ] && kill -KILL "-$pid"
  [ -n "$left" ] && kill -KILL $left
  sleep 0.2
done
`;

/**
 * What the reaper does in good order when the host has ended: plain CommonJS in one string, so that it needs no file that a
 * bundler could leave behind. The task comes through its input.
 */
export const REAPER_SCRIPT = `
const { readFileSync, readdirSync, rmdirSync, rmSync } = require('fs');
const { spawnSync } = require('child_process');
const { pid = -1, startTime, markerText, url, authorization, record } = JSON.parse(readFileSync(0, 'utf8'));
const read = (path) => { try { return readFileSync(path, 'latin1'); } catch { return ''; } };
const table = () => process.platform === 'linux' ? readdirSync('/proc').filter((name) => name > 0).map((name) => {
  const stat = read('/proc/' + name + '/stat');
  const [state, parent, group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const marked = read('/proc/' + name + '/environ').includes(markerText);
  return { pid: +name, parent: +parent, group: +group, start: rest[16], marked, dead: !stat || state === 'Z' };
}).filter((entry) => !entry.dead) : [...spawnSync('ps', ['-axo', 'pid=,ppid=,pgid=,stat=,lstart='], {
  encoding: 'utf8', env: { PATH: '/bin:/usr/bin', LC_ALL: 'C' },
}).stdout.matchAll(/^\\s*(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+([^Z\\s]\\S*)\\s+(\\S.*?)\\s*$/gm)].map(
  ([, pid, parent, group, , start]) => ({ pid: +pid, parent: +parent, group: +group, start, marked: false }));
let seen = [];
const look = () => {
  const all = table();
  const ofServer = all.find((entry) => entry.pid === pid);
  const isOurs = pid > 1 && (!ofServer || ofServer.start === startTime);
  const members = new Set(seen.filter((old) => all.some((entry) => entry.pid === old.pid && entry.start === old.start)).map((old) => old.pid));
  if (isOurs) members.add(pid);
  for (let size = -1; size < members.size;) {
    size = members.size;
    for (const entry of all)
      if (entry.marked || members.has(entry.parent) || (isOurs && entry.group === pid)) members.add(entry.pid);
  }
  seen = all.filter((entry) => members.has(entry.pid) && entry.pid !== process.pid);
  return seen;
};
(async () => {
  if (look().length > 0 && url)
    await fetch(url + '/global/dispose', { method: 'POST', headers: { authorization }, redirect: 'error', signal: AbortSignal.timeout(2000) }).catch(() => {});
  for (let round = 0; round < 50 && look().length > 0; round++) {
    for (const entry of seen) try { process.kill(entry.pid, 'SIGKILL'); } catch {}
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  if (record) rmSync(record, { force: true });
  if (record) try { rmdirSync(require('path').dirname(record)); } catch {}
})();
`;
