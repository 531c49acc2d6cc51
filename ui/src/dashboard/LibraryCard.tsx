/** How much of the library was looked at, and what came of it. */
import React from "react";
import { Link } from "react-router-dom";
import { ROUTE } from "../pages/route";
import { detectorName, modelName } from "../parts/why";
import type { Shapes } from "../stash/calls";
import { Card } from "./Card";
import { useDesk } from "./Desk";
import { ShareLine } from "./Share";
import { counted, number, ofAll } from "./words";

export function LibraryCard() {
  const { overview } = useDesk();
  return (
    <Card title="Library" name="library" asking={overview} lines={8}>
      {(told) => <Library told={told} />}
    </Card>
  );
}

function Library({ told }: { told: Shapes["OverviewTold"] }) {
  const { scenes, suggestions, workflow } = told;
  const all = scenes.in_stash ?? undefined;
  if (all === 0) {
    return <p>Stash has no scenes yet. Let it scan a folder, and they can be tagged.</p>;
  }
  return (
    <>
      <p>
        <strong>
          {all === undefined
            ? `${counted(scenes.looked_at, "scene")} looked at`
            : `${ofAll(scenes.looked_at, all, "scene")} looked at`}
        </strong>
        {all !== undefined && <ShareLine share={scenes.looked_at / all} />}
      </p>
      {all === undefined && (
        <p className="text-muted">Stash was not asked how many scenes it has.</p>
      )}
      <dl className="sense-dash-figures">
        <Figure what="To do" tag={workflow.to_do} count={scenes.to_do} />
        <Figure what="Done" tag={workflow.tagged} count={scenes.tagged} />
        <Figure what="Failed" tag={workflow.errored} count={scenes.errored} />
      </dl>
      <h3>Suggestions</h3>
      <dl className="sense-dash-figures">
        <Figure what="Wait for you" count={suggestions.ask} to={ROUTE} />
        <Figure what="Sure enough to write" count={suggestions.apply} />
        <Figure what="Refused by you" count={suggestions.refused} to={`${ROUTE}?by=refused`} />
      </dl>
      {suggestions.ask > 0 && (
        <p>
          <Link to={ROUTE}>Review what waits for you</Link>
        </p>
      )}
      <Coverage rows={told.coverage} all={all ?? scenes.looked_at} />
    </>
  );
}

interface FigureProps {
  what: string;
  /** The tag in Stash that says it. */
  tag?: string;
  count: number | null;
  to?: string;
}

function Figure({ what, tag, count, to }: FigureProps) {
  const told = count === null ? "not known" : number(count);
  return (
    <div>
      <dt>
        {what}
        {tag !== undefined && <span className="badge badge-secondary sense-dash-tag">{tag}</span>}
      </dt>
      <dd>{to !== undefined && count ? <Link to={to}>{told}</Link> : told}</dd>
    </div>
  );
}

function Coverage({ rows, all }: { rows: readonly Shapes["Covered"][]; all: number }) {
  if (rows.length === 0) return null;
  return (
    <>
      <h3>By model</h3>
      <table className="table table-sm sense-dash-table">
        <thead>
          <tr>
            <th scope="col">Looks for</th>
            <th scope="col">Model</th>
            <th scope="col" className="text-right">
              Scenes
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.detector} ${row.model}`}>
              <td>{detectorName(row.detector)}</td>
              <td title={row.model} className="sense-dash-break">
                {modelName(row.model)}
              </td>
              <td className="text-right">
                {number(row.scenes)}
                <ShareLine share={all > 0 ? row.scenes / all : 0} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
