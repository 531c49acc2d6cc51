/** Calls as a page uses them: asked when it is shown, asked again while something is under way. */
import { useCallback, useEffect, useRef, useState } from "react";
import {
  hearJobs,
  type Mode,
  type Modes,
  operate,
  queue,
  type SenseError,
  type StashJob,
} from "./calls";

export interface Asking<T> {
  told: T | undefined;
  error: SenseError | undefined;
  loading: boolean;
  reload(): void;
}

/** Ask for one thing, again when what is asked changes, and every `everyMs` where that is given. */
export function useOperation<M extends Mode>(
  mode: M,
  asked: Modes[M]["asked"] | undefined,
  everyMs?: number,
): Asking<Modes[M]["told"]> {
  const [state, setState] = useState<{ told?: Modes[M]["told"]; error?: SenseError }>({});
  const [loading, setLoading] = useState(asked !== undefined);
  const [round, setRound] = useState(0);
  const key = asked === undefined ? undefined : JSON.stringify(asked);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    if (key === undefined) return;
    let gone = false;
    let timer: number | undefined;
    const ask = async () => {
      setLoading(true);
      try {
        const told = await operate(mode, JSON.parse(key) as Modes[M]["asked"]);
        if (!gone) setState({ told });
      } catch (error) {
        const why = error as SenseError;
        // What was known before stays in sight beside the trouble.
        if (!gone) setState((before) => ({ ...before, error: why }));
      }
      if (gone) return;
      setLoading(false);
      if (everyMs !== undefined) timer = window.setTimeout(ask, everyMs);
    };
    void ask();
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [mode, key, everyMs, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  return { told: state.told, error: state.error, loading, reload };
}

const ENDED: ReadonlySet<string> = new Set(["done", "failed", "cancelled", "interrupted"]);

/** Follow a job of the worker until it has ended; `ended` is called once. */
export function useJob(
  jobId: string | undefined,
  ended: (job: Modes["job"]["told"]) => void,
  everyMs = 700,
): { job: Modes["job"]["told"] | undefined; error: SenseError | undefined } {
  const [job, setJob] = useState<Modes["job"]["told"]>();
  const [error, setError] = useState<SenseError>();
  const tell = useRef(ended);
  tell.current = ended;
  useEffect(() => {
    setJob(undefined);
    setError(undefined);
    if (jobId === undefined) return;
    let gone = false;
    let timer: number | undefined;
    const ask = async () => {
      try {
        const now = await operate("job", { job_id: jobId });
        if (gone) return;
        setJob(now);
        setError(undefined);
        if (ENDED.has(now.status)) {
          tell.current(now);
          return;
        }
      } catch (why) {
        if (gone) return;
        // The worker may be starting anew; the job is in its store.
        setError(why as SenseError);
      }
      timer = window.setTimeout(ask, everyMs);
    };
    void ask();
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [jobId, everyMs]);
  return { job, error };
}

const LEFT: ReadonlySet<string> = new Set(["FINISHED", "CANCELLED", "FAILED"]);

/** Stash's queue as it changes; `ended` hears of each job that leaves it. */
export function useQueue(ended?: (job: StashJob) => void): StashJob[] {
  const [jobs, setJobs] = useState<StashJob[]>([]);
  const tell = useRef(ended);
  tell.current = ended;
  useEffect(() => {
    let gone = false;
    const put = (job: StashJob) =>
      setJobs((before) =>
        before.some((each) => each.id === job.id)
          ? before.map((each) => (each.id === job.id ? job : each))
          : [...before, job],
      );
    const stop = hearJobs(
      ({ type, job }) => {
        if (type === "REMOVE" || LEFT.has(job.status)) {
          setJobs((before) => before.filter((each) => each.id !== job.id));
          if (type === "REMOVE") tell.current?.(job);
        } else put(job);
      },
      () => undefined,
    );
    queue()
      .then((found) => {
        if (!gone) for (const job of found) put(job);
      })
      .catch(() => undefined);
    return () => {
      gone = true;
      stop();
    };
  }, []);
  return jobs;
}
