/** What was done so far, with what of it is still there, and the way to take it back. */
import React, { useState } from "react";
import { Badge } from "react-bootstrap";
import { Confirm } from "../parts/Confirm";
import { Deed } from "../parts/Deed";
import type { Shapes } from "../stash/calls";
import { Card } from "./Card";
import { useTold } from "./Desk";
import { listed } from "./outcome";
import { Pager, type Paging, usePaging } from "./Pager";
import { Progress } from "./Progress";
import { type Result, useTask } from "./useTask";
import { counted, date, number, runName } from "./words";

const PAGE = 10;
type Run = Shapes["RunRow"];

export function RunsCard() {
  const paging = usePaging();
  // A run of which nothing is left leaves the list: what came of its undo stays.
  const [came, setCame] = useState<Came>();
  const asking = useTold("runs", { limit: PAGE, ...(paging.after && { after: paging.after }) });
  return (
    <Card title="Runs" name="runs" asking={asking}>
      {(told) => (
        <>
          {came && (
            <p
              className={came.failed ? "text-danger" : ""}
              role={came.failed ? "alert" : undefined}
              tabIndex={-1}
              data-sense-came
            >
              {came.name}: {came.result}
            </p>
          )}
          <Runs told={told} paging={paging} undone={setCame} />
        </>
      )}
    </Card>
  );
}

interface Came extends Result {
  name: string;
}

interface RunsProps {
  told: Shapes["RunsTold"];
  paging: Paging;
  undone(came: Came): void;
}

function Runs({ told, paging, undone }: RunsProps) {
  if (told.runs.length === 0 && paging.page === 1) {
    return <p className="text-muted">Nothing that Stash Sense wrote is left to undo.</p>;
  }
  return (
    <>
      <p className="text-muted">
        What each wrote and is still there. Undo takes back that alone: what you wrote or changed
        since stays.
      </p>
      <ul className="list-unstyled sense-dash-runs">
        {told.runs.map((run) => (
          <RunItem key={run.run_id} run={run} undone={undone} />
        ))}
      </ul>
      <Pager paging={paging} next={told.next} what="runs" />
    </>
  );
}

function RunItem({ run, undone }: { run: Run; undone(came: Came): void }) {
  const [asks, setAsks] = useState(false);
  const when = date(run.begun_at_s);
  const name = runName(run.kind);
  const undo = `Undo ${name} of ${when}`;
  const task = useTask("undo", undo, (came) => undone({ ...came, name: undo }));
  const left = leftOf(run);
  return (
    <li className="sense-dash-run">
      <div className="sense-dash-run-head">
        <span className="sense-dash-job-name">{name}</span>
        <span className="text-muted sense-dash-when">{when}</span>
        {ended(run.status)}
        {run.undone ? (
          <Badge variant="secondary">undone</Badge>
        ) : (
          <Deed
            size="sm"
            variant="secondary"
            busy={task.under_way || left.length === 0}
            aria-label={undo}
            does={() => setAsks(true)}
          >
            Undo
          </Deed>
        )}
      </div>
      <p className="text-muted mb-0">
        {left.length > 0 ? left.join(", ") : "Nothing of it is left."}
      </p>
      {task.under_way && (
        <>
          <Progress share={task.share} label={`Undoing ${name} of ${when}`} />
          {task.waits && <p className="text-muted mb-0">It waits for its turn in Stash's queue.</p>}
        </>
      )}
      {asks && (
        <Confirm
          title={`${undo}?`}
          yes="Undo"
          danger
          does={() => task.begin({ what: "run", run: run.run_id })}
          close={() => setAsks(false)}
        >
          <p>This is done, as far as it is still as it was written:</p>
          <ul>
            {steps(run).map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ul>
          <p className="mb-0">What you wrote, or changed since, stays.</p>
        </Confirm>
      )}
    </li>
  );
}

function ended(status: string) {
  if (status === "done" || status === "") return null;
  return (
    <Badge variant={status === "failed" ? "danger" : "secondary"}>
      {status === "cancelled" ? "stopped" : status}
    </Badge>
  );
}

/** What is still there of a run. */
function leftOf(run: Run): string[] {
  const written: [number, string][] = [
    [run.tags, "tag"],
    [run.markers, "marker"],
    [run.studios, "studio"],
  ];
  const parts = written.flatMap(([many, noun]) => (many > 0 ? [counted(many, noun)] : []));
  if (run.created_tags > 0) {
    parts.push(counted(run.created_tags, "newly created tag"));
  }
  if (run.workflow_moves > 0)
    parts.push(`workflow tags of ${counted(run.workflow_moves, "scene")}`);
  if (run.taken_back > 0) parts.push(`${number(run.taken_back)} taken back`);
  if (run.verdicts > 0) parts.push(counted(run.verdicts, "answer of yours", "answers of yours"));
  return parts;
}

/** What an undo does, in the order in which people ask for it. */
function steps(run: Run): string[] {
  const taken: [number, string][] = [
    [run.tags, "tag"],
    [run.markers, "marker"],
    [run.studios, "studio"],
  ];
  const away = taken.flatMap(([many, noun]) => (many > 0 ? [counted(many, noun)] : []));
  const told = away.length > 0 ? [`${listed(away)} taken off their scenes`] : [];
  if (run.created_tags > 0) {
    told.push(`${counted(run.created_tags, "new tag")} deleted, where nothing else uses them`);
  }
  if (run.workflow_moves > 0) {
    const scenes = counted(run.workflow_moves, "scene");
    told.push(`The workflow tags of ${scenes} put back as they were`);
  }
  if (run.taken_back > 0) {
    const taken = counted(run.taken_back, "tag, marker or studio", "tags, markers and studios");
    told.push(`${taken} that it took away written again`);
  }
  if (run.verdicts > 0) {
    const said = counted(run.verdicts, "suggestion");
    told.push(`What you said of ${said} forgotten, so that it is asked again`);
  }
  return told;
}
