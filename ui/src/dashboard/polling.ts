/** What is under way: the worker's jobs are asked for, Stash's queue tells of itself. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { operate, queue, type SenseError, type Shapes, type StashJob } from "../stash/calls";
import { type Asking, useQueue } from "../stash/hooks";

export type Job = Shapes["JobTold"];

const BUSY_MS = 2_000;
const IDLE_MS = 15_000;
const NEWEST = 20;

const UNDER_WAY: ReadonlySet<string> = new Set(["queued", "running"]);

export function isUnderWay(job: Job): boolean {
  return UNDER_WAY.has(job.status);
}

/** Call again and again while somebody looks at the page; `everyMs` is read before each wait. */
function useRounds(ask: () => Promise<void>, everyMs: number): void {
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    let gone = false;
    let asking = false;
    let timer: number | undefined;
    const round = async () => {
      window.clearTimeout(timer);
      if (asking || document.hidden) return;
      asking = true;
      await latest.current();
      asking = false;
      if (!gone) timer = window.setTimeout(round, everyMs);
    };
    const seen = () => void round();
    document.addEventListener("visibilitychange", seen);
    void round();
    return () => {
      gone = true;
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [everyMs]);
}

interface Polled extends Asking<readonly Job[]> {
  /** Ask at once; undefined where the worker does not answer. */
  askNow(): Promise<readonly Job[] | undefined>;
}

/** The worker's newest jobs; `ended` is called when more of them have ended. */
export function usePolledJobs(tasksUnderWay: boolean, ended: () => void): Polled {
  const [state, setState] = useState<{ told?: readonly Job[]; error?: SenseError }>({});
  const [loading, setLoading] = useState(true);
  const gone = useRef(false);
  /** The jobs that had ended when last asked: others may have begun and ended since. */
  const over = useRef<ReadonlySet<string>>();
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
    };
  }, []);

  const askNow = useCallback(async () => {
    try {
      const { jobs } = await operate("jobs", { limit: NEWEST });
      if (gone.current) return undefined;
      const before = over.current;
      const ids = jobs.filter((job) => !isUnderWay(job)).map((job) => job.id);
      over.current = new Set(ids);
      setState({ told: jobs });
      setLoading(false);
      if (before !== undefined && ids.some((id) => !before.has(id))) ended();
      return jobs;
    } catch (why) {
      if (gone.current) return undefined;
      setState((before) => ({ ...before, error: why as SenseError }));
      setLoading(false);
      return undefined;
    }
  }, [ended]);

  const busy = tasksUnderWay || (state.told ?? []).some(isUnderWay);
  useRounds(async () => void (await askNow()), busy ? BUSY_MS : IDLE_MS);
  return {
    told: state.told,
    error: state.error,
    loading,
    askNow,
    reload: () => void askNow(),
  };
}

const QUEUE_MS = 5_000;

/** Stash's queue; news that was lost with the connection is made up for by asking. */
export function usePresentTasks(ended: (task: StashJob) => void): readonly StashJob[] {
  const told = useRef<(task: StashJob) => void>(ended);
  told.current = ended;
  // By what was heard last of each: whatever is heard of it later is news again.
  const [missed, setMissed] = useState<ReadonlySet<StashJob>>(new Set());
  const heard = useQueue((task) => told.current(task));
  const tasks = useMemo(() => heard.filter((task) => !missed.has(task)), [heard, missed]);
  const latest = useRef(tasks);
  latest.current = tasks;
  const some = tasks.length > 0;
  useEffect(() => {
    if (!some) return;
    const timer = window.setInterval(async () => {
      const before = latest.current;
      const found = await queue().catch(() => undefined);
      if (found === undefined) return;
      const there = new Set(found.map((task) => task.id));
      // What the news told of meanwhile is dealt with.
      const lost = before.filter((task) => !there.has(task.id) && latest.current.includes(task));
      if (lost.length === 0) return;
      setMissed(new Set(lost));
      for (const task of lost) told.current(task);
    }, QUEUE_MS);
    return () => window.clearInterval(timer);
  }, [some]);
  return tasks;
}
