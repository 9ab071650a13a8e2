import { html, svg, type TemplateResult } from 'lit-html';

const WIDTH = 600;
const HEIGHT = 150;
const LEFT = 56;
const TOP = 10;
const BOTTOM = 22;
const RIGHT = 8;

export interface ChartInit {
  readonly title: string;
  /** Oldest first; `at` in epoch milliseconds. */
  readonly samples: readonly { readonly at: number; readonly value: number }[];
  readonly format: (value: number) => string;
  /** The scale reaches at least so far. */
  readonly least: number;
}

/** A value over the last minutes, as steps. */
export function chart({ title, samples, format, least }: ChartInit): TemplateResult {
  const [first, last] = [samples[0], samples.at(-1)];
  const most = Math.max(least, ...samples.map(({ value }) => value));
  const [from, to] = [first?.at ?? 0, last?.at ?? 1];
  const x = (at: number): number => LEFT + ((at - from) / Math.max(1, to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / most) * (HEIGHT - TOP - BOTTOM);
  const steps = samples.map(({ at, value }, index) => {
    const point = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    return index === 0 ? `M${point}` : `H${x(at).toFixed(1)}V${y(value).toFixed(1)}`;
  });
  const line = steps.join('');
  const area = `${line}V${y(0)}H${LEFT}Z`;
  const now = format(last?.value ?? 0);
  return html`<figure class="chart">
    <figcaption>${title} <b>${now}</b></figcaption>
    <svg
      viewBox="0 0 ${WIDTH} ${HEIGHT}"
      role="img"
      aria-label="${title}: ${now} now, at most ${format(most)} on the scale"
    >
      ${[0, 0.5, 1].map((part) => {
        const height = y(most * part);
        return svg`<line class="grid" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${height} y2=${height}></line>
          <text x=${LEFT - 8} y=${height + 4} text-anchor="end">${format(most * part)}</text>`;
      })}
      ${samples.length < 2 ? '' : svg`<path class="area" d=${area}></path><path class="line" d=${line}></path>`}
      <text x=${LEFT} y=${HEIGHT - 4}>${Math.round((to - from) / 1000)} s ago</text>
      <text x=${WIDTH - RIGHT} y=${HEIGHT - 4} text-anchor="end">now</text>
    </svg>
  </figure>`;
}
