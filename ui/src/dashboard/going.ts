/** What goes on: tasks of Stash's queue, and the worker's jobs. */
import type { StashJob } from "../stash/calls";
import { isUnderWay, type Job } from "./polling";
import { modeOfTask, ourTask } from "./words";

/** A task of Stash's queue and the worker's job that does it: either may be alone. */
export interface Going {
  key: string;
  task: StashJob | undefined;
  job: Job | undefined;
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
