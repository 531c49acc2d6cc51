/** One setting: what it does, what holds by itself, and how its change fares. */
import React, { useCallback, useEffect, useRef, useState } from "react";
import { Button } from "react-bootstrap";
import type { SenseError, Shapes } from "../stash/calls";
import { check, stripped } from "./check";
import { Control } from "./controls";
import { defaultWords, type Row, type Stored, type Value } from "./form";
import { ModelNote } from "./Running";
import { change, complaint, type Reading, refusal } from "./stored";

const TYPED_MS = 700;
const SAID_MS = 4000;

interface Props {
  row: Row;
  stored: Stored;
  reading: Reading;
  models: readonly Shapes["ModelRow"][] | undefined;
  save(changed: Record<string, unknown>): Promise<void>;
}

interface Fate {
  kind: "saving" | "saved" | "refused" | "failed";
  why?: string;
}

/** Return a value as Stash is to store it: undefined for nothing. */
function storable(row: Row, value: Value | undefined): Value | undefined {
  if (row.kind === "number" && typeof value === "string") {
    return stripped(value) === "" ? undefined : check(row, value).used;
  }
  return typeof value === "string" ? stripped(value) || undefined : value;
}

export function SettingRow({ row, stored, reading, models, save }: Props) {
  const state = reading.states[row.key] ?? { used: row.default, isChanged: false };
  const [draft, setDraft] = useState<{ value: Value | undefined }>();
  const [fate, setFate] = useState<Fate>();
  const waits = useRef<{ timer: number; write(): void }>();
  const newest = useRef(0);
  const isGone = useRef(false);

  const write = (value: Value | undefined) => {
    const mine = ++newest.current;
    const now = (next: Fate | undefined) => {
      if (!isGone.current && mine === newest.current) setFate(next);
    };
    now({ kind: "saving" });
    save(change(reading, row, storable(row, value))).then(
      () => {
        now({ kind: "saved" });
        if (!isGone.current && mine === newest.current) setDraft(undefined);
        window.setTimeout(() => now(undefined), SAID_MS);
      },
      (why: SenseError) => now({ kind: "failed", why: why.message }),
    );
  };

  const flush = useCallback(() => {
    const { timer, write: begin } = waits.current ?? {};
    window.clearTimeout(timer);
    waits.current = undefined;
    begin?.();
  }, []);
  useEffect(() => {
    isGone.current = false;
    return () => {
      isGone.current = true;
      flush();
    };
  }, [flush]);

  const put = (value: Value | undefined, when: "now" | "later") => {
    window.clearTimeout(waits.current?.timer);
    waits.current = undefined;
    setDraft({ value });
    const why = refusal(stored, row, value);
    if (why !== undefined) {
      // A save that is under way says nothing of what is typed now.
      newest.current += 1;
      setFate({ kind: "refused", why });
    } else if (when === "now") write(value);
    else {
      setFate(undefined);
      const begin = () => write(value);
      waits.current = { timer: window.setTimeout(flush, TYPED_MS), write: begin };
    }
  };

  const id = `sense-setting-${row.key}`;
  const { unusable } = state;
  const isSet = draft === undefined ? state.isChanged : storable(row, draft.value) !== undefined;
  return (
    <div
      className="setting sense-setting"
      data-kind={row.kind}
      data-changed={state.isChanged || undefined}
    >
      <div className="sense-setting-words">
        <label htmlFor={id}>{row.name}</label>
        <div className="sub-heading" id={`${id}-says`}>
          {row.says}
        </div>
        <div className="sense-setting-foot">
          <span>Default: {defaultWords(row)}</span>
          {(unusable !== undefined || (state.isChanged && isSet)) && (
            <Button
              variant="link"
              size="sm"
              aria-label={`${row.name}: back to the default, ${defaultWords(row)}`}
              onClick={() => put(undefined, "now")}
            >
              Back to the default
            </Button>
          )}
          <Said fate={fate} again={() => write(draft?.value)} />
        </div>
        {unusable && draft === undefined && (
          <p className="sense-setting-wrong" role="alert">
            {complaint(row, unusable.why)}
          </p>
        )}
      </div>
      <div className="sense-setting-control">
        <Control
          id={id}
          explained={`${id}-says`}
          row={row}
          value={draft === undefined ? plain(row, state.used) : (draft.value ?? plain(row, ""))}
          isRefused={fate?.kind === "refused"}
          models={models}
          put={put}
          flush={flush}
        />
        {row.kind === "model" && models && (
          <ModelNote name={String(draft?.value ?? state.used)} models={models} />
        )}
      </div>
    </div>
  );
}

/** What a control shows: an empty field stands for what holds by itself. */
function plain(row: Row, value: Value): Value {
  if (value !== "" && value !== row.default) return value;
  const isTyped = row.kind === "tag" || row.kind === "text" || row.kind === "number";
  return isTyped ? "" : row.default;
}

function Said({ fate, again }: { fate: Fate | undefined; again(): void }) {
  const isTrouble = fate?.kind === "refused" || fate?.kind === "failed";
  return (
    <>
      <span role="status" className="sense-setting-said">
        {fate?.kind === "saving" && "Saving…"}
        {fate?.kind === "saved" && "Saved"}
      </span>
      {isTrouble && (
        <span role="alert" className="sense-setting-wrong">
          {fate.kind === "failed" ? `Not saved: ${fate.why}` : `Not saved: ${fate.why}.`}
        </span>
      )}
      {fate?.kind === "failed" && (
        <Button variant="secondary" size="sm" onClick={again}>
          Try again
        </Button>
      )}
    </>
  );
}
