/** What is under way in the worker. */
import { useCallback, useEffect, useRef, useState } from "react";
import { operate, type SenseError, type Shapes } from "../stash/calls";
import { type Asking, rounds } from "../stash/hooks";

export type Job = Shapes["JobTold"];

const BUSY_MS = 2_000;
const IDLE_MS = 15_000;
/** So many of those under way, and of those that have ended. */
const MOST = 20;

const UNDER_WAY: ReadonlySet<string> = new Set(["queued", "running"]);

export function isUnderWay(job: Job): boolean {
  return UNDER_WAY.has(job.status);
}

interface Polled extends Asking<readonly Job[]> {
  /** Ask at once; undefined where the worker does not answer. */
  askNow(): Promise<readonly Job[] | undefined>;
}

/** The worker's jobs: what is under way, then what ended last; `ended` is called when more of them have ended. */
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
      const { jobs } = await operate("jobs", { limit: MOST });
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
  const everyMs = busy ? BUSY_MS : IDLE_MS;
  useEffect(
    () =>
      rounds(async () => {
        await askNow();
        return everyMs;
      }),
    [askNow, everyMs],
  );
  return {
    told: state.told,
    error: state.error,
    loading,
    askNow,
    reload: () => void askNow(),
  };
}
