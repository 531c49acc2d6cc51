/** What the cards share: what is under way, what has ended since, and what is said aloud. */
import React, { useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { type Modes, runTask, type StashJob } from "../stash/calls";
import { type Asking, useOperation, useQueue } from "../stash/hooks";
import { isUnderWay, type Job, usePolledJobs } from "./polling";
import { modeOfTask, OURS, ourTask } from "./words";

/** While something is under way, the figures of the library move. */
const FIGURES_MS = 15_000;

/** What came of a task of Stash's queue: our own job says it, Stash would call it finished. */
export type Ended = (job: Job | undefined) => void;

export interface Desk {
  overview: Asking<Modes["overview"]["told"]>;
  jobs: Asking<readonly Job[]>;
  /** Our tasks in Stash's queue. */
  tasks: readonly StashJob[];
  busy: boolean;
  /** Grows when something has ended: what was known is asked again. */
  round: number;
  /** Put a task into Stash's queue; `ended` hears what came of it. Raises SenseError. */
  begin(mode: string, name: string, args: Record<string, unknown>, ended?: Ended): Promise<string>;
  /** Ask for everything again. */
  refresh(): void;
  /** Say something to who cannot see it. */
  say(message: string): void;
}

const Shared = React.createContext<Desk | undefined>(undefined);

export function useDesk(): Desk {
  const desk = useContext(Shared);
  if (desk === undefined) throw new Error("A card of the dashboard stands outside of it");
  return desk;
}

interface Awaited {
  mode: string;
  /** The worker's jobs that were there before. */
  before: ReadonlySet<string>;
  ended: Ended;
}

export function DeskProvider({ children }: { children: React.ReactNode }) {
  const [round, setRound] = useState(0);
  const [said, setSaid] = useState("");
  const awaited = useRef(new Map<string, Awaited>());
  /** Whether the page was left: nobody hears what came of a task then. */
  const left = useRef(false);
  useEffect(
    () => () => {
      left.current = true;
    },
    [],
  );
  /** Tasks that ended before it was known that they are waited for. */
  const quick = useRef(new Map<string, StashJob>());
  /** The worker's jobs of which it is known whose they are. */
  const claimed = useRef(new Set<string>());
  const refresh = useCallback(() => setRound((before) => before + 1), []);

  const settle = useRef<(task: StashJob) => void>(() => undefined);
  const queue = useQueue((task) => settle.current(task));
  const { follow } = queue;
  const tasks = useMemo(
    () => queue.jobs.filter((task) => ourTask(task.description) !== undefined),
    [queue.jobs],
  );
  const jobs = usePolledJobs(tasks.length > 0, refresh);
  const away = jobs.error !== undefined;
  const was = useRef(away);
  useEffect(() => {
    // What failed while the worker was away is asked again once it answers.
    if (was.current && !away) refresh();
    was.current = away;
  }, [away, refresh]);
  const known = useRef(jobs);
  known.current = jobs;

  settle.current = (task) => {
    const waiting = awaited.current.get(task.id);
    awaited.current.delete(task.id);
    if (waiting === undefined) {
      quick.current.set(task.id, task);
      if (ourTask(task.description) !== undefined) refresh();
      return;
    }
    void jobs.askNow().then((now) => {
      if (left.current) return;
      // Stash does one after another: of those that it may be, this one ended first.
      const mine = now
        ?.filter(
          (job) =>
            job.mode === waiting.mode &&
            !isUnderWay(job) &&
            !waiting.before.has(job.id) &&
            !claimed.current.has(job.id),
        )
        .pop();
      if (mine) claimed.current.add(mine.id);
      waiting.ended(mine);
      refresh();
    });
  };

  const begin = useCallback<Desk["begin"]>(
    async (mode, name, args, ended = () => undefined) => {
      // Of a job that was there before nobody is told that it is this one.
      const { loading, askNow, told } = known.current;
      const there = (loading ? await askNow() : told) ?? [];
      const before = new Set(there.map((job) => job.id));
      quick.current.clear();
      const description = `${OURS}${name}`;
      const id = await runTask(mode, description, args);
      awaited.current.set(id, { mode, before, ended });
      const over = quick.current.get(id);
      if (over) settle.current(over);
      else follow(id, description);
      return id;
    },
    [follow],
  );

  const say = useCallback((message: string) => {
    // The same words twice would not be read again.
    setSaid((before) => (before === message ? `${message}\u00a0` : message));
  }, []);
  const busy = tasks.length > 0 || (jobs.told ?? []).some(isUnderWay);
  const overview = useFresh("overview", {}, round, busy ? FIGURES_MS : undefined);
  const desk: Desk = { overview, jobs, tasks, busy, round, begin, refresh, say };
  return (
    <Shared.Provider value={desk}>
      {children}
      <div role="status" aria-live="polite" className="sr-only">
        {said}
      </div>
    </Shared.Provider>
  );
}

/** Ask for one thing, and again when something has ended. */
export function useTold<M extends keyof Modes>(
  mode: M,
  asked: Modes[M]["asked"],
): Asking<Modes[M]["told"]> {
  return useFresh(mode, asked, useDesk().round);
}

function useFresh<M extends keyof Modes>(
  mode: M,
  asked: Modes[M]["asked"],
  round: number,
  everyMs?: number,
): Asking<Modes[M]["told"]> {
  const asking = useOperation(mode, asked, everyMs);
  const { reload } = asking;
  const first = useRef(round);
  useEffect(() => {
    if (first.current === round) return;
    first.current = round;
    reload();
  }, [round, reload]);
  return asking;
}

/** The task of Stash's queue that runs a mode, where there is one. */
export function taskOf(tasks: readonly StashJob[], mode: string): StashJob | undefined {
  return tasks.find((task) => modeOfTask(ourTask(task.description) ?? "") === mode);
}
