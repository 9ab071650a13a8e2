/** The source of a tool for `.opencode/tool/NAME.js` of a repository. It runs in the process of the server. */
export function toolSource(body: string): string {
  return `export default { description: 'Does it', args: {}, execute: async () => { ${body} } };`;
}

/** Keeps the process of the server from anything else. */
export function busyTool(forMs: number): string {
  return toolSource(`for (const end = Date.now() + ${forMs}; Date.now() < end; ); return 'computed';`);
}

/** Takes 2 GB and keeps them until the process ends. */
export const TAKING_TOOL = toolSource(
  `globalThis.taken = [1, 2].map((fill) => new Uint8Array(2 ** 30).fill(fill)); return 'taken';`,
);
