/** One thing that is under way: how far it is, what it said last, and the way to stop it. */
import React, { useState } from "react";
import { Badge } from "react-bootstrap";
import { Deed } from "../parts/Deed";
import { operate, type SenseError, stopTask } from "../stash/calls";
import { useDesk } from "./Desk";
import type { Going } from "./going";
import { Progress } from "./Progress";
import { NameOf, SceneLinks } from "./SceneLinks";
import { clock, counted, jobName, ourTask } from "./words";

export function UnderWay({ task, job }: Pick<Going, "task" | "job">) {
  const { say, jobs } = useDesk();
  const [stopping, setStopping] = useState(false);
  const [failed, setFailed] = useState<SenseError>();
  const name = (task && ourTask(task.description)) ?? (job ? jobName(job) : "");
  const ids = job?.scene_ids ?? [];
  const runs = job?.status === "running" || (task !== undefined && task.status !== "READY");
  const stop = async () => {
    setStopping(true);
    setFailed(undefined);
    try {
      if (task) await stopTask(task.id);
      else if (job) await operate("cancel_job", { job_id: job.id });
      say(`${name} is being stopped`);
      jobs.reload();
    } catch (why) {
      setFailed(why as SenseError);
      setStopping(false);
    }
  };
  const line = job?.lines?.[job.lines.length - 1];
  return (
    <li className="sense-dash-job" aria-label={name}>
      <div className="sense-dash-job-head">
        <NameOf name={name} ids={ids} />
        <Badge variant={runs ? "primary" : "secondary"}>{stateOf(runs, stopping)}</Badge>
        <SceneLinks ids={ids} />
        <Deed
          size="sm"
          variant="secondary"
          busy={stopping}
          aria-label={`Cancel ${name}`}
          does={stop}
        >
          Cancel
        </Deed>
      </div>
      {runs && <Progress share={job?.progress ?? task?.progress ?? null} label={name} />}
      <p className={`sense-dash-job-line ${tone(line?.level)}`}>
        {line?.message ?? waits(runs, task !== undefined, job)}
      </p>
      {failed && (
        <p className="text-danger mb-0" role="alert">
          {failed.message}
        </p>
      )}
    </li>
  );
}

function stateOf(runs: boolean, stopping: boolean): string {
  if (stopping) return "stopping";
  return runs ? "running" : "waits";
}

function tone(level: string | undefined): string {
  if (level === "error") return "text-danger";
  return level === "warning" ? "text-warning" : "text-muted";
}

function waits(runs: boolean, inStash: boolean, job: Going["job"]): string {
  if (job?.next_at_s) {
    const reason = job.error ? `${job.error.message}. ` : "";
    return `${reason}It is tried again at ${clock(job.next_at_s)}.`;
  }
  if (runs) return "Begun.";
  if (job && job.ahead > 0) {
    return `${counted(job.ahead, "job")} ${job.ahead === 1 ? "goes" : "go"} before it.`;
  }
  return inStash ? "It waits for its turn in Stash's queue." : "It is about to begin.";
}
