/** How good what is said is in this very library: the last evaluation. */
import React, { useState } from "react";
import { Deed } from "../parts/Deed";
import type { SenseError, Shapes } from "../stash/calls";
import { Card } from "./Card";
import { useTold } from "./Desk";
import { Progress } from "./Progress";
import { Reliability, TagBars } from "./plots";
import { TagTable } from "./TagTable";
import { useTask } from "./useTask";
import { counted, date, number, percent } from "./words";

/** Tags that the picture shows; the table has all. */
const SHOWN = 12;

type Told = Shapes["EvaluationTold"];

export function AccuracyCard() {
  const asking = useTold("evaluation", {});
  const task = useTask("evaluate", "Evaluate");
  const [failed, setFailed] = useState<SenseError>();
  const evaluate = async () => {
    setFailed(undefined);
    try {
      await task.begin();
    } catch (why) {
      setFailed(why as SenseError);
    }
  };
  return (
    <Card
      title="Accuracy"
      name="accuracy"
      asking={asking}
      wide
      lines={6}
      actions={
        <Deed size="sm" variant="secondary" busy={task.under_way} does={evaluate}>
          {task.under_way ? "Evaluating" : "Evaluate"}
        </Deed>
      }
    >
      {(told) => (
        <>
          {task.under_way && <Progress share={task.share} label="Evaluating" />}
          {(task.failed || failed) && (
            <p className="text-danger" role="alert">
              {failed?.message ?? task.result}
            </p>
          )}
          {told.made_at_s === null ? <None /> : <Evaluated told={told} at={told.made_at_s} />}
        </>
      )}
    </Card>
  );
}

function None() {
  return (
    <p className="text-muted">
      Nothing was evaluated yet. It needs scenes that you tagged by hand, or suggestions that you
      accepted or refused, and that Stash Sense has looked at; some twenty scenes of a tag make its
      figures worth something. Nothing in Stash changes by it.
    </p>
  );
}

function Evaluated({ told, at }: { told: Told; at: number }) {
  const { precision, recall } = told.written;
  return (
    <>
      {told.tags.length === 0 ? (
        <p>
          There was nothing to judge by: none of your own tags in the scenes that were looked at is
          one that Stash Sense knows.
        </p>
      ) : (
        <p>
          <strong>{inWords(precision, recall)}</strong> Written means: without asking you. A tag's
          precision is how often it is right where it stands, its recall how many of the scenes that
          should have it do.
        </p>
      )}
      {told.tags.length > 0 && <Figures told={told} />}
      <div className="sense-dash-plots">
        {told.bins.length > 0 && <Trust told={told} />}
        {told.tags.length > 0 && (
          <figure>
            <figcaption>
              <h3>By tag</h3>
              <span className="sense-dash-key">
                <span className="sense-dash-swatch sense-dash-key-precision" aria-hidden />{" "}
                precision
                <span className="sense-dash-swatch sense-dash-key-recall" aria-hidden /> recall
              </span>
            </figcaption>
            <TagBars tags={told.tags.slice(0, SHOWN)} />
          </figure>
        )}
      </div>
      {told.tags.length > 0 && <TagTable tags={told.tags} more={told.more} />}
      <p className="text-muted sense-dash-break">
        {counted(told.scenes, "scene")} judged on {date(at)}.
        {told.page && ` A page with all plots lies in ${told.page}.`}
      </p>
    </>
  );
}

function Figures({ told: { written, shown } }: { told: Told }) {
  return (
    <dl className="sense-dash-figures">
      <Figure what="Precision of what is written" share={written.precision} />
      <Figure what="Recall of what is written" share={written.recall} />
      <Figure what="Precision with what is asked" share={shown.precision} />
      <Figure what="Recall with what is asked" share={shown.recall} />
    </dl>
  );
}

function Trust({ told }: { told: Told }) {
  return (
    <figure>
      <figcaption>
        <h3>Is it as sure as it is right?</h3>
        On the dashed line it is; below it is too sure of itself.
        {told.calibration_error !== null && ` It is off by ${percent(told.calibration_error)}.`}
      </figcaption>
      <Reliability bins={told.bins} />
      <details className="sense-dash-fold">
        <summary>The same as a table</summary>
        <table className="table table-sm sense-dash-table">
          <thead>
            <tr>
              <th scope="col">Sure</th>
              <th scope="col">Right</th>
              <th scope="col">Claims</th>
            </tr>
          </thead>
          <tbody>
            {told.bins.map((bin) => (
              <tr key={bin.confidence}>
                <td>{percent(bin.confidence)}</td>
                <td>{percent(bin.right)}</td>
                <td>{number(bin.claims)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

function Figure({ what, share }: { what: string; share: number | null }) {
  return (
    <div>
      <dt>{what}</dt>
      <dd>{share === null ? "none" : percent(share)}</dd>
    </div>
  );
}

function inWords(precision: number | null, recall: number | null): string {
  if (precision === null)
    return "Nothing was written without asking in the scenes that were judged.";
  const right = `Of 100 tags that are written, ${Math.round(precision * 100)} are right`;
  if (recall === null) return `${right}.`;
  return `${right}, and of 100 that belong there, ${Math.round(recall * 100)} are found.`;
}
