/** Where in a scene something holds. */
import React from "react";
import type { Shapes } from "../stash/calls";
import "./parts.css";
import { clock, many } from "./words";

type Range = Pick<Shapes["Range"], "start_s" | "end_s">;

interface Props {
  ranges: readonly Range[];
  durationS: number | null;
  /** Times of single frames. */
  marks?: readonly number[];
  seek(seconds: number): void;
  /** Whether the tab key stops at the first range; left and right go on. */
  stops?: boolean;
  /** Whose ranges these are. */
  label: string;
}

/** More than these in a sentence are counted only. */
const SAID = 12;

export function Timeline({ ranges, durationS, marks = [], seek, stops = true, label }: Props) {
  const whole = length(ranges, marks, durationS);
  if (whole <= 0 || ranges.length + marks.length === 0) return null;
  const at = (seconds: number) => `${(Math.min(Math.max(seconds, 0), whole) / whole) * 100}%`;
  return (
    <div className="sense-timeline">
      <span className="sr-only">{sentence(label, ranges)}</span>
      <div className="sense-timeline-track">
        {ranges.map((range, i) => {
          const style = { left: at(range.start_s), width: at(range.end_s - range.start_s) };
          const key = `${range.start_s}-${range.end_s}`;
          const times = `${clock(range.start_s)} to ${clock(range.end_s)}`;
          return (
            <button
              key={key}
              type="button"
              tabIndex={stops && i === 0 ? 0 : -1}
              className="sense-timeline-range"
              style={style}
              title={times}
              aria-label={`Play ${times}`}
              onClick={() => seek(range.start_s)}
            />
          );
        })}
        {[...new Set(marks)].map((time) => (
          <span key={time} className="sense-timeline-mark" style={{ left: at(time) }} />
        ))}
      </div>
    </div>
  );
}

function length(ranges: readonly Range[], marks: readonly number[], durationS: number | null) {
  const last = [...ranges.map((each) => each.end_s), ...marks].reduce(
    (most, each) => Math.max(most, each),
    0,
  );
  return Math.max(durationS ?? 0, last);
}

/** What the drawing says, for who cannot see it. */
export function sentence(label: string, ranges: readonly Range[]): string {
  if (ranges.length === 0) return `${label}: single frames`;
  const named = ranges
    .slice(0, SAID)
    .map((each) => `${clock(each.start_s)} to ${clock(each.end_s)}`)
    .join(", ");
  const rest = ranges.length > SAID ? ` and ${ranges.length - SAID} more` : "";
  return `${label}: ${many(ranges.length, "range")}, ${named}${rest}`;
}
