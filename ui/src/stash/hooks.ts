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

/**
 * Ask again and again while somebody looks at the page; return what ends it.
 *
 * `ask` says in how many milliseconds it is due again, undefined for never. A page that is looked
 * at again asks at once.
 */
export function rounds(ask: () => Promise<number | undefined>, firstInMs = 0): () => void {
  let over = false;
  let asking = false;
  let timer: number | undefined;
  const round = async () => {
    window.clearTimeout(timer);
    if (over || asking) return;
    asking = true;
    const waitMs = await ask();
    asking = false;
    if (waitMs === undefined) over = true;
    else later(waitMs);
  };
  const later = (waitMs: number) => {
    if (!over) timer = window.setTimeout(seen, waitMs);
  };
  const seen = () => {
    if (!document.hidden) void round();
  };
  document.addEventListener("visibilitychange", seen);
  if (firstInMs > 0) later(firstInMs);
  else void round();
  return () => {
    over = true;
    window.clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
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
    const end = rounds(async () => {
      setLoading(true);
      try {
        const told = await operate(mode, JSON.parse(key) as Modes[M]["asked"]);
        if (!gone) setState({ told });
      } catch (error) {
        const why = error as SenseError;
        // What was known before stays in sight beside the trouble.
        if (!gone) setState((before) => ({ ...before, error: why }));
      }
      if (!gone) setLoading(false);
      return everyMs;
    });
    return () => {
      gone = true;
      end();
    };
  }, [mode, key, everyMs, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  return { told: state.told, error: state.error, loading, reload };
}

const ENDED: ReadonlySet<string> = new Set(["done", "failed", "cancelled", "interrupted"]);

/** How long a job that waits, or a worker that does not answer, is left alone at most. */
const SLOWEST_MS = 5_000;

/** Whether the store holds no such job: it was imported or put back meanwhile. */
function isForgotten(error: SenseError): boolean {
  return error.message.startsWith("There is no job ");
}

/** What is told as the end of a job of which nothing is known any more. */
function forgotten(id: string, last: Modes["job"]["told"] | undefined): Modes["job"]["told"] {
  const error = {
    message: "Stash Sense knows nothing of this job any more: its store was put back or replaced",
    remedy: "begin it again where what it was for is not there",
  };
  const now_s = Date.now() / 1000;
  const unknown = {
    mode: "",
    scene_ids: [],
    progress: 0,
    ahead: 0,
    lines: [],
    queued_at_s: now_s,
    tries: 0,
    begun_at_s: null,
  };
  const end = { output: null, next_at_s: null, ended_at_s: now_s };
  return { ...unknown, ...last, ...end, id, status: "interrupted", error };
}

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
    let waitMs = everyMs;
    let last: Modes["job"]["told"] | undefined;
    const longer = () => {
      const now = waitMs;
      waitMs = Math.min(Math.max(everyMs, SLOWEST_MS), waitMs * 1.5);
      return now;
    };
    const end = rounds(async () => {
      try {
        const now = await operate("job", { job_id: jobId });
        if (gone) return undefined;
        last = now;
        setJob(now);
        setError(undefined);
        if (ENDED.has(now.status)) {
          tell.current(now);
          return undefined;
        }
        if (now.status === "queued") return longer();
        waitMs = everyMs;
        return everyMs;
      } catch (why) {
        if (gone) return undefined;
        if (isForgotten(why as SenseError)) {
          tell.current(forgotten(jobId, last));
          return undefined;
        }
        // The worker may be starting anew; the job is in its store.
        setError(why as SenseError);
        return longer();
      }
    });
    return () => {
      gone = true;
      end();
    };
  }, [jobId, everyMs]);
  return { job, error };
}

const LEFT: ReadonlySet<string> = new Set(["FINISHED", "CANCELLED", "FAILED"]);
const QUEUE_MS = 5_000;

interface Queue {
  jobs: readonly StashJob[];
  /** Follow a job that was just put into the queue, whether or not there is news of it. */
  follow(id: string, description: string): void;
}

/**
 * Stash's queue as it changes; `ended` hears of each job that leaves it.
 *
 * The news come by a websocket, which a proxy may not let through and which may break: while
 * something is listed the queue is asked as well, and what is no longer in it has ended.
 */
export function useQueue(ended?: (job: StashJob) => void): Queue {
  const [jobs, setJobs] = useState<readonly StashJob[]>([]);
  const held = useRef<readonly StashJob[]>([]);
  const removed = useRef(new Set<string>());
  /** For each question under way the jobs that there was news of since: its answer is older. */
  const asking = useRef(new Set<Set<string>>());
  const gone = useRef(false);
  const tell = useRef(ended);
  tell.current = ended;

  const hold = useCallback((next: readonly StashJob[]) => {
    held.current = next;
    setJobs(next);
  }, []);
  const put = useCallback(
    (job: StashJob) => {
      const known = held.current.some((each) => each.id === job.id);
      hold(
        known
          ? held.current.map((each) => (each.id === job.id ? job : each))
          : [...held.current, job],
      );
    },
    [hold],
  );
  const drop = useCallback(
    (job: StashJob) => {
      hold(held.current.filter((each) => each.id !== job.id));
      tell.current?.(job);
    },
    [hold],
  );
  const look = useCallback(async () => {
    const before = held.current;
    const newer = new Set<string>();
    asking.current.add(newer);
    const found = await queue().catch(() => undefined);
    asking.current.delete(newer);
    if (gone.current || found === undefined) return false;
    const there = found.filter((job) => !LEFT.has(job.status));
    const ids = new Set(there.map((job) => job.id));
    for (const job of there) if (!newer.has(job.id)) put(job);
    for (const job of before) if (!ids.has(job.id) && !newer.has(job.id)) drop(job);
    return true;
  }, [put, drop]);

  useEffect(() => {
    gone.current = false;
    const stop = hearJobs(
      ({ type, job }) => {
        for (const newer of asking.current) newer.add(job.id);
        if (type === "REMOVE") {
          removed.current.add(job.id);
          drop(job);
        } else if (!LEFT.has(job.status)) {
          removed.current.delete(job.id);
          put(job);
        }
      },
      () => undefined,
    );
    const end = rounds(async () => ((await look()) ? undefined : QUEUE_MS));
    return () => {
      gone.current = true;
      stop();
      end();
    };
  }, [look, put, drop]);

  const some = jobs.length > 0;
  useEffect(() => {
    if (!some) return;
    return rounds(async () => {
      await look();
      return QUEUE_MS;
    }, QUEUE_MS);
  }, [some, look]);

  const follow = useCallback(
    (id: string, description: string) => {
      // Its news may have come before the answer to who began it.
      if (removed.current.has(id) || held.current.some((each) => each.id === id)) return;
      put({ id, description, status: "READY" as StashJob["status"], ...UNSAID });
    },
    [put],
  );
  return { jobs, follow };
}

const UNSAID = { progress: null, error: null, subTasks: null };
