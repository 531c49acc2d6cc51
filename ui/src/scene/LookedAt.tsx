/** What looked at a scene, what did not and why, and what was read on screen. */
import React from "react";
import { Table } from "react-bootstrap";
import { Link } from "react-router-dom";
import { ROUTE } from "../pages/route";
import { detectorName, modelName } from "../parts/why";
import { clock, many } from "../parts/words";
import type { Shapes } from "../stash/calls";

interface Props {
  told: Shapes["SceneTold"];
  seek(seconds: number): void;
}

export function LookedAt({ told, seek }: Props) {
  const { ran, skipped, texts } = told;
  if (ran.length + skipped.length + texts.length === 0) return null;
  return (
    <details className="sense-fold">
      <summary>
        What was looked at
        {skipped.length > 0 && <span className="text-muted"> ({skipped.length} did not look)</span>}
      </summary>
      {ran.length > 0 && <Ran rows={ran} />}
      {skipped.length > 0 && <Skipped rows={skipped} />}
      {texts.length > 0 && <Texts texts={texts} seek={seek} />}
    </details>
  );
}

function Ran({ rows }: { rows: readonly Shapes["RanRow"][] }) {
  return (
    <Table size="sm" className="sense-ran">
      <thead>
        <tr>
          <th>Looked for</th>
          <th>With</th>
          <th>Frames</th>
          <th>Took</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={`${row.detector} ${row.model}`}>
            <td>{detectorName(row.detector)}</td>
            <td title={`${row.model}, ${row.precision} on ${row.device}`}>
              {modelName(row.model)}
            </td>
            <td>{row.frames.toLocaleString("en-US")}</td>
            <td>{row.seconds > 0 ? `${row.seconds.toFixed(1)} s` : "known before"}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function Skipped({ rows }: { rows: readonly Shapes["SkippedRow"][] }) {
  return (
    <>
      <h5 className="sense-heading">Did not look</h5>
      <ul className="sense-plain">
        {rows.map((row) => (
          <li key={row.detector}>
            <strong>{detectorName(row.detector)}</strong>: {row.reason}
            {row.remedy && <span className="text-muted"> What helps: {row.remedy}</span>}
          </li>
        ))}
      </ul>
      <Link to={`${ROUTE}/dashboard`}>See the models on the dashboard</Link>
    </>
  );
}

/** Of a film's subtitles the first are enough to know what was read. */
const TEXTS_SHOWN = 50;

function Texts({ texts, seek }: { texts: readonly Shapes["Words"][]; seek: Props["seek"] }) {
  return (
    <>
      <h5 className="sense-heading">Read on screen</h5>
      <ul className="sense-plain sense-texts">
        {texts.slice(0, TEXTS_SHOWN).map((each) => (
          <li key={`${each.start_s} ${each.text}`}>
            <button
              type="button"
              className="btn btn-link btn-sm sense-time"
              aria-label={`Play from ${clock(each.start_s)}`}
              onClick={() => seek(each.start_s)}
            >
              {clock(each.start_s)}
            </button>{" "}
            {each.text}
          </li>
        ))}
      </ul>
      {texts.length > TEXTS_SHOWN && (
        <p className="text-muted">and {many(texts.length - TEXTS_SHOWN, "more", "more")}</p>
      )}
    </>
  );
}
