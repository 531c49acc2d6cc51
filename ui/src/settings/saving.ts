/** The settings as Stash has them, and saving one at a time. */
import { useCallback, useEffect, useRef, useState } from "react";
import { readSettings, type SenseError, saveSettings } from "../stash/calls";
import type { Stored } from "./form";

let last: Promise<unknown> = Promise.resolve();

/** Save after what is being saved: each save reads all settings and writes them back. */
function inTurn(changed: Record<string, unknown>): Promise<Stored> {
  const mine = last.then(() => saveSettings(changed));
  last = mine.catch(() => undefined);
  return mine;
}

export interface Saving {
  stored: Stored | undefined;
  /** Why they cannot be read. */
  error: SenseError | undefined;
  reload(): void;
  /** Raises SenseError. */
  save(changed: Record<string, unknown>): Promise<void>;
}

/** Read the settings, again when the window is looked at anew; `saved` hears of all of them. */
export function useSaving(saved?: (all: Stored) => void): Saving {
  const [stored, setStored] = useState<Stored>();
  const [error, setError] = useState<SenseError>();
  const tell = useRef(saved);
  tell.current = saved;
  const isGone = useRef(false);
  const turn = useRef(0);
  const reload = useCallback(() => {
    const mine = ++turn.current;
    readSettings().then(
      (found) => {
        if (isGone.current || mine !== turn.current) return;
        setStored(found);
        setError(undefined);
      },
      (why: SenseError) => {
        if (!isGone.current && mine === turn.current) setError(why);
      },
    );
  }, []);
  useEffect(() => {
    isGone.current = false;
    reload();
    window.addEventListener("focus", reload);
    return () => {
      isGone.current = true;
      window.removeEventListener("focus", reload);
    };
  }, [reload]);
  const save = useCallback(async (changed: Record<string, unknown>) => {
    const all = await inTurn(changed);
    // What was read before this save is old.
    turn.current += 1;
    tell.current?.(all);
    if (!isGone.current) setStored(all);
  }, []);
  return { stored, error, reload, save };
}
