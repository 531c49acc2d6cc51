/** Plots as inline SVG in the colour of the text; each has the same figures as a table beside it. */
import React from "react";
import type { Shapes } from "../stash/calls";
import { percent } from "./words";

const SIDE = 200;
const EDGE = 34;
const TICKS = [0, 0.5, 1];

/** How often claims of a confidence are right: on the diagonal, they are as right as they say. */
export function Reliability({ bins }: { bins: readonly Shapes["Bin"][] }) {
  const most = Math.max(1, ...bins.map((bin) => bin.claims));
  const x = (share: number) => EDGE + share * SIDE;
  const y = (share: number) => EDGE / 2 + (1 - share) * SIDE;
  const points = bins.map((bin) => `${x(bin.confidence)},${y(bin.right)}`).join(" ");
  return (
    <svg
      className="sense-dash-plot"
      role="img"
      aria-label={`How often claims are right, by their confidence: ${bins
        .map((bin) => `${percent(bin.confidence)} sure, ${percent(bin.right)} right`)
        .join("; ")}`}
      viewBox={`0 0 ${SIDE + EDGE * 1.5} ${SIDE + EDGE * 1.7}`}
    >
      {TICKS.map((tick) => (
        <g key={tick} className="sense-dash-plot-grid">
          <line x1={x(tick)} x2={x(tick)} y1={y(0)} y2={y(1)} />
          <line x1={x(0)} x2={x(1)} y1={y(tick)} y2={y(tick)} />
          <text x={x(tick)} y={y(0) + 14} textAnchor="middle">
            {percent(tick)}
          </text>
          <text x={x(0) - 5} y={y(tick) + 4} textAnchor="end">
            {percent(tick)}
          </text>
        </g>
      ))}
      <line className="sense-dash-plot-ideal" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
      <polyline className="sense-dash-plot-line" points={points} />
      {bins.map((bin) => (
        <circle
          key={bin.confidence}
          className="sense-dash-plot-point"
          cx={x(bin.confidence)}
          cy={y(bin.right)}
          r={3 + 5 * Math.sqrt(bin.claims / most)}
        />
      ))}
      <text x={x(0.5)} y={y(0) + 32} textAnchor="middle">
        how sure it was
      </text>
      <text transform={`translate(${x(1) + 12} ${y(0.5)}) rotate(90)`} textAnchor="middle">
        how often right
      </text>
    </svg>
  );
}

const ROW = 34;
const NAME = 130;
const BAR = 160;

/** Precision and recall of each tag, one bar below the other. */
export function TagBars({ tags }: { tags: readonly Shapes["TagJudged"][] }) {
  return (
    <svg
      className="sense-dash-plot sense-dash-plot-wide"
      role="img"
      aria-label="Precision and recall of each tag; the table has the same figures"
      viewBox={`0 0 ${NAME + BAR + 52} ${tags.length * ROW + 4}`}
    >
      {tags.map((tag, place) => (
        <g key={tag.name} transform={`translate(0 ${place * ROW})`}>
          <text x={NAME - 8} y={19} textAnchor="end">
            {shortened(tag.name)}
          </text>
          <Bar share={tag.written.precision} y={4} kind="precision" />
          <Bar share={tag.written.recall} y={17} kind="recall" />
        </g>
      ))}
    </svg>
  );
}

function Bar({ share, y, kind }: { share: number | null; y: number; kind: string }) {
  return (
    <>
      <rect className="sense-dash-plot-ground" x={NAME} y={y} width={BAR} height={10} />
      <rect
        className={`sense-dash-plot-${kind}`}
        x={NAME}
        y={y}
        width={BAR * (share ?? 0)}
        height={10}
      />
      <text x={NAME + BAR + 6} y={y + 9}>
        {share === null ? "none" : percent(share)}
      </text>
    </>
  );
}

/** So many letters of a name have room. */
const LETTERS = 20;

function shortened(name: string): string {
  const letters = [...name];
  return letters.length > LETTERS ? `${letters.slice(0, LETTERS - 1).join("")}…` : name;
}
