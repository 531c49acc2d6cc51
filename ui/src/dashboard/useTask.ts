/** One of our tasks in Stash's queue, followed from the click to what came of it. */
import { useEffect, useRef, useState } from "react";
import { useDesk } from "./Desk";
import { failure, outcome } from "./outcome";
import { ourTask } from "./words";

export interface Followed {
  /** Whether it was begun and has not ended. */
  under_way: boolean;
  /** Whether something else of Stash's goes first. */
  waits: boolean;
  /** 0..1; null where nobody knows. */
  share: number | null;
  /** What came of the last one; it stays until the next is begun. */
  result: string;
  failed: boolean;
  /** Raises SenseError where Stash does not take it. */
  begin(args?: Record<string, unknown>): Promise<void>;
}

export interface Result {
  result: string;
  failed: boolean;
}

/** `told` hears what came of it even where what began it is no longer there. */
export function useTask(
  mode: string,
  name: string,
  told: (came: Result) => void = () => undefined,
): Followed {
  const { begin, tasks, jobs, say } = useDesk();
  const [id, setId] = useState<string>();
  const [came, setCame] = useState<Result>({ result: "", failed: false });
  const gone = useRef(false);
  useEffect(
    () => () => {
      gone.current = true;
    },
    [],
  );
  // One that was begun before the page was left is known again by its name.
  const task = tasks.find((each) => each.id === id || ourTask(each.description) === name);
  const under_way = id !== undefined || task !== undefined;
  const job = jobs.told?.find((each) => each.mode === mode && each.status === "running");
  return {
    under_way,
    waits: under_way && (task === undefined || task.status === "READY"),
    share: task?.progress || job?.progress || null,
    result: came.result,
    failed: came.failed,
    begin: async (args = {}) => {
      setCame({ result: "", failed: false });
      let over = false;
      const begun = await begin(mode, name, args, (ended) => {
        over = true;
        const result = said(ended, name);
        told(result);
        say(`${name}: ${result.result}`);
        if (gone.current) return;
        setId(undefined);
        setCame(result);
      });
      if (!over && !gone.current) setId(begun);
    },
  };
}

type Ending = Parameters<typeof outcome>[0] | undefined;

function said(job: Ending, name: string): Result {
  if (job === undefined) {
    // The task ended before the worker had it: on its way, or by the user.
    return { result: `${name} ended, and nothing is known of it: see Stash's log.`, failed: true };
  }
  if (job.status === "cancelled") return { result: "Stopped.", failed: false };
  if (job.error) return { result: failure(job.error), failed: true };
  return { result: outcome(job) || "Done.", failed: false };
}
