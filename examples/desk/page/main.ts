// The page of the desk. All text comes from templates that escape it: titles, file names, and what models and tools say are data.
import { readTurn } from 'jarvis-opencode';
import { html, nothing, render, type TemplateResult } from 'lit-html';
import { chart } from './chart.js';
import type { AskState, ConversationState, DeskState, RepoState } from './state.js';

/** What a running turn has said so far. */
interface Live {
  readonly turn: number;
  text: string;
  readonly tools: Map<string, string>;
}

/** How many lines of what was decided are shown. */
const DECISIONS = 12;

let state: DeskState | undefined;
let isOnline = false;
let notice = '';
const live = new Map<string, Live>();
const drafts = new Map<string, string>();

const root = document.querySelector<HTMLElement>('#desk');

function draw(): void {
  if (root !== null) render(state === undefined ? waiting() : desk(state), root);
}

function waiting(): TemplateResult {
  return html`<p class="waiting" role="status">Waiting for the desk …</p>`;
}

function desk(shown: DeskState): TemplateResult {
  return html`
    <header class="top">
      <div>
        <h1>Desk</h1>
        <p class="muted">${shown.repos.length} repositories behind one OpenCode server</p>
      </div>
      <div class="server">
        <span class="pill ${isOnline ? serverTone(shown.server.state) : 'bad'}" role="status">
          ${isOnline ? shown.server.state : 'no connection to the desk'}
        </span>
        <span class="muted mono">OpenCode ${shown.server.version} · pid ${shown.server.pid ?? 'none'}</span>
      </div>
      <div class="actions">
        <button @click=${() => send('/api/play', { isPlaying: !shown.isPlaying })}>
          ${shown.isPlaying ? 'Pause the script' : 'Play the script'}
        </button>
        <button @click=${() => send('/api/restart', { force: false })}>Restart</button>
        <button class="danger" @click=${() => send('/api/crash', {})}>Crash</button>
      </div>
    </header>
    <p class="notice" role="alert" ?hidden=${notice === ''}>
      <span>${notice}</span>
      <button @click=${() => note('')} aria-label="Close this message">Close</button>
    </p>
    <main>
      <section aria-labelledby="instances">
        <h2 id="instances">Instances</h2>
        ${instances(shown)}
      </section>
      <div class="charts">
        ${chart({
          title: 'Loaded instances',
          samples: shown.samples.map(({ at, loaded }) => ({ at, value: loaded })),
          format: (value) => String(Math.round(value)),
          least: shown.repos.length,
        })}
        ${chart({
          title: 'Memory of the server and its children',
          samples: shown.samples.map(({ at, rssBytes }) => ({ at, value: rssBytes })),
          format: megabytes,
          least: 200e6,
        })}
      </div>
      <section aria-labelledby="work">
        <h2 id="work">Conversations</h2>
        <div class="repos">${shown.repos.map((repo) => conversations(repo, shown))}</div>
      </section>
      <section aria-labelledby="decisions">
        <h2 id="decisions">What was decided</h2>
        <ol class="decisions">
          ${shown.decisions
            .slice(0, DECISIONS)
            .map(
              ({ at, repo, text }) =>
                html`<li>
                  <time class="muted mono">${new Date(at).toLocaleTimeString()}</time> <b>${repo}</b> ${text}
                </li>`,
            )}
        </ol>
      </section>
    </main>
  `;
}

function instances({ repos, now, idleTimeoutMs }: DeskState): TemplateResult {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Repository</th>
        <th scope="col">State</th>
        <th scope="col">Held by</th>
        <th scope="col">Disposed in</th>
        <th scope="col">Children</th>
        <th scope="col">Loads</th>
        <th scope="col"><span class="hidden">Actions</span></th>
      </tr>
    </thead>
    <tbody>
      ${repos.map(
        (repo) =>
          html`<tr>
            <th scope="row" title=${repo.directory}>${repo.name}</th>
            <td data-label="State"><span class="pill ${repo.state}">${repo.state}</span></td>
            <td data-label="Held by">${holds(repo, now)}</td>
            <td data-label="Disposed in">${countdown(repo, now, idleTimeoutMs)}</td>
            <td data-label="Children">
              ${repo.children === 0 ? html`<span class="muted">none</span>` : `${repo.children} · ${megabytes(repo.childrenBytes)}`}
            </td>
            <td data-label="Loads">${repo.boots}</td>
            <td class="buttons">
              <button
                aria-pressed=${repo.isHeld}
                aria-label="Hold ${repo.name}"
                @click=${() => send('/api/hold', { repo: repo.name })}
              >
                ${repo.isHeld ? 'Release' : 'Hold'}
              </button>
              <button
                aria-label="Dispose ${repo.name}"
                ?disabled=${!repo.isLoaded}
                @click=${() => send('/api/dispose', { repo: repo.name })}
              >
                Dispose
              </button>
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function holds({ holds: all }: RepoState, now: number): TemplateResult | TemplateResult[] {
  if (all.length === 0) return html`<span class="muted">nothing</span>`;
  return all
    .slice(0, 3)
    .map(
      ({ kind, detail, since }) =>
        html`<span class="hold" title=${detail}
          >${kind} <span class="muted">${seconds(now - since)}</span></span
        >`,
    );
}

function countdown({ idleDeadline }: RepoState, now: number, idleTimeoutMs: number): TemplateResult {
  if (idleDeadline === undefined) return html`<span class="muted">–</span>`;
  const left = Math.max(0, idleDeadline - now);
  return html`<span class="countdown">
    <progress max=${idleTimeoutMs} value=${left} aria-label="Time until it is disposed"></progress>
    <span class="mono">${seconds(left)}</span>
  </span>`;
}

function conversations(repo: RepoState, shown: DeskState): TemplateResult {
  const own = shown.conversations.filter((each) => each.repo === repo.name);
  const submit = (event: Event): void => {
    event.preventDefault();
    const text = drafts.get(repo.name)?.trim() ?? '';
    if (text === '') return;
    drafts.delete(repo.name);
    void send('/api/prompt', { repo: repo.name, title: 'Yours', text });
    draw();
  };
  return html`<article class="repo ${repo.state}">
    <h3>${repo.name} <span class="pill ${repo.state}">${repo.state}</span></h3>
    ${own.length === 0 ? html`<p class="muted">Nobody has asked anything here.</p>` : own.map(conversation)}
    <form @submit=${submit}>
      <input
        aria-label="Ask the agent of ${repo.name}"
        placeholder="Ask the agent of ${repo.name}"
        autocomplete="off"
        .value=${drafts.get(repo.name) ?? ''}
        @input=${(event: Event) => drafts.set(repo.name, (event.target as HTMLInputElement).value)}
      />
      <button>Send</button>
    </form>
  </article>`;
}

function conversation(shown: ConversationState): TemplateResult {
  const { key, repo, title, exchanges, asks, isBusy } = shown;
  const last = exchanges.at(-1);
  const running = isBusy ? live.get(key) : undefined;
  return html`<section class="conversation" aria-label="${title} in ${repo}">
    <h4>${title}${isBusy ? html`<span class="busy" role="img" aria-label="at work"></span>` : nothing}</h4>
    ${
      exchanges.length > 1
        ? html`<details>
            <summary>${exchanges.length - 1} earlier</summary>
            ${exchanges.slice(0, -1).map(({ prompt, text }) => exchange(prompt, text, []))}
          </details>`
        : nothing
    }
    ${
      last === undefined
        ? nothing
        : exchange(last.prompt, running?.text ?? last.text, [...(running?.tools.values() ?? [])])
    }
    ${asks.map((ask) => question(key, ask))}
  </section>`;
}

function exchange(prompt: string, text: string, tools: readonly string[]): TemplateResult {
  return html`<p class="prompt">${prompt}</p>
    ${tools.map((tool) => html`<p class="tool mono">${tool}</p>`)}
    <p class="answer">${text.trim()}</p>`;
}

/** The dialog of a permission request or a question. */
function question(key: string, ask: AskState): TemplateResult {
  const reply = (decision: unknown) => () => void send('/api/answer', { key, id: ask.id, decision });
  if (ask.type === 'permission') {
    return html`<div class="ask" role="group" aria-label="Permission">
      <p>May the agent use <b>${ask.what}</b>?</p>
      <p class="mono">${ask.patterns.join(', ')}</p>
      <div class="actions">
        <button class="primary" @click=${reply('allow')}>Allow once</button>
        <button @click=${reply('always')}>Always</button>
        <button @click=${reply('deny')}>Deny</button>
      </div>
    </div>`;
  }
  const [first] = ask.questions;
  return html`<div class="ask" role="group" aria-label="Question">
    <p>${first?.question}</p>
    <div class="actions">
      ${first?.options.map(
        ({ label }) => html`<button class="primary" @click=${reply([[label]])}>${label}</button>`,
      )}
      <button @click=${reply('deny')}>No answer</button>
    </div>
  </div>`;
}

/** Reads the turn that a conversation runs, from its beginning, also on a page that was opened in the middle of it. */
async function follow({ key, turns }: ConversationState): Promise<void> {
  const shown: Live = { turn: turns, text: '', tools: new Map() };
  live.set(key, shown);
  const response = await fetch(`/api/turn/${encodeURIComponent(key)}`);
  if (response.status !== 200) return;
  const turn = readTurn(response);
  turn.result.catch(() => undefined);
  for await (const step of turn) {
    if (step.type === 'text') shown.text += step.delta;
    if (step.type === 'tool') shown.tools.set(step.callID, `${step.tool} · ${step.status}`);
    if (step.type === 'retry') shown.tools.set('retry', `asking the model again: ${step.message}`);
    draw();
  }
}

async function send(path: string, body: unknown): Promise<void> {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (response.ok) return note('');
    const { detail = '' } = (await response.json().catch(() => ({}))) as { readonly detail?: string };
    note(detail === '' ? `The desk answered ${response.status}.` : detail);
  } catch {
    note('The desk does not answer.');
  }
}

function note(text: string): void {
  notice = text;
  draw();
}

function serverTone(serverState: string): string {
  if (serverState === 'ready') return 'good';
  return serverState === 'restarting' || serverState === 'starting' ? 'warn' : 'bad';
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 1000))} s`;
}

const source = new EventSource('/api/state');
source.onmessage = ({ data }: MessageEvent<string>) => {
  state = JSON.parse(data) as DeskState;
  isOnline = true;
  for (const each of state.conversations) {
    if (each.isBusy && live.get(each.key)?.turn !== each.turns) void follow(each).catch(() => undefined);
  }
  draw();
};
source.onerror = () => {
  isOnline = false;
  draw();
};
draw();
