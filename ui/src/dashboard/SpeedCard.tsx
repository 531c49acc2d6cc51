/** Where the time goes, and what limits. */
import React from "react";
import { detectorName } from "../parts/why";
import type { Shapes } from "../stash/calls";
import { Card } from "./Card";
import { useDesk } from "./Desk";
import { counted, duration, number, percent, sentence } from "./words";

/** After so many the colours begin again. */
const COLOURS = 6;

export function SpeedCard() {
  const { overview } = useDesk();
  return (
    <Card title="Speed" name="speed" asking={overview} lines={6}>
      {({ speed }) =>
        speed === null || speed.scenes === 0 ? (
          <p className="text-muted">It is measured while scenes are looked at, and none was yet.</p>
        ) : (
          <Measured speed={speed} />
        )
      }
    </Card>
  );
}

function Measured({ speed }: { speed: Shapes["Speed"] }) {
  const parts = [...speed.parts]
    .filter((part) => part.seconds > 0)
    .sort((one, other) => other.seconds - one.seconds);
  const whole = Math.max(
    parts.reduce((sum, part) => sum + part.seconds, 0),
    1e-9,
  );
  return (
    <>
      <p>
        <strong>{duration(speed.seconds / speed.scenes)} a scene</strong>, measured at the last{" "}
        {counted(speed.scenes, "scene")}.
      </p>
      {speed.limit && <p>{sentence(speed.limit)}</p>}
      <div className="sense-dash-parts" aria-hidden>
        {parts.map((part, place) => (
          <span
            key={`${part.what} ${part.device}`}
            className={`sense-dash-part-${place % COLOURS}`}
            style={{ width: `${(part.seconds / whole) * 100}%` }}
          />
        ))}
      </div>
      <ul className="list-unstyled sense-dash-legend">
        {parts.map((part, place) => (
          <li key={`${part.what} ${part.device}`}>
            <span className={`sense-dash-swatch sense-dash-part-${place % COLOURS}`} aria-hidden />
            <span>
              {detectorName(part.what)}
              {part.device && <span className="text-muted"> on {part.device}</span>}
            </span>
            <span className="sense-dash-legend-share">
              {percent(part.seconds / whole)}, {duration(part.seconds)}
              {part.frames > 0 && (
                <span className="text-muted">
                  {" "}
                  for {number(part.frames)} {part.frames === 1 ? "picture" : "pictures"}
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
