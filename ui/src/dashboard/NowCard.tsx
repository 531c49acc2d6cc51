/** What is under way, what came of what was, and the buttons that begin more. */
import React from "react";
import type { StashJob } from "../stash/calls";
import { Begin } from "./Begin";
import { Card } from "./Card";
import { useDesk } from "./Desk";
import { EndedJob } from "./EndedJob";
import { isUnderWay, type Job } from "./polling";
import { UnderWay } from "./UnderWay";
import { modeOfTask, ourTask } from "./words";

const RECENT = 6;

/** A task of Stash's queue and the worker's job that does it: either may be alone. */
export interface Going {
  key: string;
  task: StashJob | undefined;
  job: Job | undefined;
}

export function NowCard() {
  const { jobs, tasks } = useDesk();
  return (
    <Card title="Now" name="now" asking={jobs} wide lines={3} actions={<Begin />}>
      {(told) => <Jobs jobs={told} tasks={tasks} />}
    </Card>
  );
}

function Jobs({ jobs, tasks }: { jobs: readonly Job[]; tasks: readonly StashJob[] }) {
  const going = together(jobs, tasks);
  const ended = jobs.filter((job) => !isUnderWay(job)).slice(0, RECENT);
  return (
    <>
      {going.length > 0 ? (
        <ul className="list-unstyled sense-dash-jobs" aria-label="Under way">
          {going.map((each) => (
            <UnderWay key={each.key} task={each.task} job={each.job} />
          ))}
        </ul>
      ) : (
        <p className="text-muted">Nothing is under way.</p>
      )}
      {ended.length > 0 && (
        <>
          <h3>Recently</h3>
          <ul className="list-unstyled sense-dash-ended">
            {ended.map((job) => (
              <EndedJob key={job.id} job={job} />
            ))}
          </ul>
        </>
      )}
    </>
  );
}

/** Join each task that runs to the job that does it: the two are one thing to the user. */
export function together(jobs: readonly Job[], tasks: readonly StashJob[]): Going[] {
  const free = jobs.filter(isUnderWay);
  const take = (task: StashJob) => {
    if (task.status === "READY") return undefined;
    const mode = modeOfTask(ourTask(task.description) ?? "");
    const place = free.findIndex((job) =>
      mode === undefined ? job.mode !== "tag_scene" : job.mode === mode,
    );
    return place < 0 ? undefined : free.splice(place, 1)[0];
  };
  const ofTasks = tasks.map((task) => ({ key: `task ${task.id}`, task, job: take(task) }));
  const alone = free.map((job) => ({ key: `job ${job.id}`, task: undefined, job }));
  const runs = ({ task, job }: Going) => job?.status === "running" || task?.status === "RUNNING";
  return [...alone, ...ofTasks].sort((one, other) => Number(runs(other)) - Number(runs(one)));
}
