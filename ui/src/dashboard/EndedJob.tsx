/** One job that is over: when, how long it took, and what came of it. */
import React from "react";
import { Badge } from "react-bootstrap";
import { outcome } from "./outcome";
import type { Job } from "./polling";
import { NameOf, SceneLinks } from "./SceneLinks";
import { date, duration, jobName } from "./words";

const STATES: Record<string, { name: string; variant: string }> = {
  done: { name: "done", variant: "success" },
  failed: { name: "failed", variant: "danger" },
  cancelled: { name: "stopped", variant: "secondary" },
  interrupted: { name: "interrupted", variant: "warning" },
};

export function EndedJob({ job }: { job: Job }) {
  const state = STATES[job.status];
  const ids = job.scene_ids ?? [];
  const told = outcome(job);
  return (
    <li>
      <div className="sense-dash-job-head">
        <Badge variant={state?.variant ?? "secondary"}>{state?.name ?? job.status}</Badge>
        <NameOf name={jobName(job)} ids={ids} />
        <SceneLinks ids={ids} />
        <span className="text-muted sense-dash-when">{when(job)}</span>
      </div>
      {told && <p className={`sense-dash-job-line ${job.error ? "" : "text-muted"}`}>{told}</p>}
    </li>
  );
}

function when(job: Job): string {
  const at = job.ended_at_s ?? job.queued_at_s;
  const took =
    job.ended_at_s !== null && job.begun_at_s !== null ? job.ended_at_s - job.begun_at_s : 0;
  return took >= 1 ? `${date(at)}, took ${duration(took)}` : date(at);
}
