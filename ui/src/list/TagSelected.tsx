/** "Tag selected" in the menu of the list of scenes. */
import React, { useEffect, useRef, useState } from "react";
import { Link } from "react-router-dom";
import { ROUTE } from "../pages/route";
import { Boundary } from "../parts/Boundary";
import { many } from "../parts/words";
import { operate, type Shapes } from "../stash/calls";
import { useJob } from "../stash/hooks";
import { stash } from "../stash/plugin_api";
import { readAgain } from "../stash/verdicts";
import "./list.css";
import { forgetAll, leave, note, selected } from "./selection";

interface CardProps {
  scene: { id: string };
  /** Not there where cards cannot be selected. */
  selected?: boolean;
}

/** What Stash draws of a scene, and beside it what knows whether it is selected. */
export function noteCard(card: CardProps, drawn: React.ReactNode): React.ReactNode {
  if (card.selected === undefined) return drawn;
  return (
    <>
      {drawn}
      <Noted id={card.scene.id} selected={card.selected} />
    </>
  );
}

function Noted({ id, selected }: { id: string; selected: boolean }) {
  useEffect(() => note(id, selected), [id, selected]);
  useEffect(() => () => leave(id), [id]);
  return null;
}

interface Entry {
  text: string;
  onClick(): void;
  isDisplayed?(): boolean;
}

interface MenuProps {
  operations: unknown[];
  hasSelection?: boolean;
}

/** Stash's list with one more entry in its menu, while something is selected. */
export function withTagSelected<P extends MenuProps>(props: P): P {
  const entry: Entry = {
    text: "Tag selected",
    onClick: () => hear?.(selected()),
    isDisplayed: () => props.hasSelection === true,
  };
  return { ...props, operations: [...props.operations, entry] };
}

/** The list's buttons as Stash draws them, and beside them what does the work of our entry. */
export function withTagging(props: MenuProps, drawn: React.ReactNode): React.ReactNode {
  return (
    <>
      {drawn}
      <Boundary what="the entry Tag selected">
        <TagSelected hasSelection={props.hasSelection === true} />
      </Boundary>
    </>
  );
}

/** Who begins the job, while a list is shown. */
let hear: ((ids: string[]) => void) | undefined;

/** As many as the worker takes in one job. */
const MOST = 5000;

function TagSelected({ hasSelection }: { hasSelection: boolean }) {
  const toast = stash().hooks.useToast();
  const [begun, setBegun] = useState<readonly Begun[]>([]);
  const gone = useRef(false);
  useEffect(() => {
    if (!hasSelection) forgetAll();
  }, [hasSelection]);
  useEffect(
    () => () => {
      gone.current = true;
      forgetAll();
    },
    [],
  );
  useEffect(() => {
    const begin = async (ids: string[]) => {
      if (ids.length === 0) {
        toast.error(
          new Error("Stash Sense cannot see which scenes are selected: select them anew"),
        );
        return;
      }
      try {
        for (let start = 0; start < ids.length; start += MOST) {
          const part = ids.slice(start, start + MOST);
          const { job_id } = await operate("tag_scene", { scene_ids: part });
          if (!gone.current) setBegun((now) => also(now, { jobId: job_id, ids: part }));
        }
        toast.success(<Began count={ids.length} />);
      } catch (why) {
        toast.error(why);
      }
    };
    const mine = (ids: string[]) => void begin(ids);
    hear = mine;
    return () => {
      if (hear === mine) hear = undefined;
    };
  });
  return (
    <>
      {begun.map((each) => (
        <Followed
          key={each.jobId}
          begun={each}
          ended={(job) => {
            if (job.status === "done") toast.success(<Ended count={each.ids.length} />);
            else if (job.status !== "cancelled") toast.error(new Error(reason(job)));
            setBegun((now) => now.filter(({ jobId }) => jobId !== each.jobId));
          }}
        />
      ))}
    </>
  );
}

interface Begun {
  jobId: string;
  ids: string[];
}

/** What does this very thing already is begun once. */
function also(begun: readonly Begun[], another: Begun): readonly Begun[] {
  return [...begun.filter(({ jobId }) => jobId !== another.jobId), another];
}

function Followed({ begun, ended }: { begun: Begun; ended(job: Shapes["JobTold"]): void }) {
  useJob(
    begun.jobId,
    (job) => {
      void readAgain(begun.ids);
      ended(job);
    },
    FOLLOWED_EVERY_MS,
  );
  return null;
}

/** Nobody watches it here: the dashboard does that. */
const FOLLOWED_EVERY_MS = 3000;

function Began({ count }: { count: number }) {
  return (
    <>
      Tagging {many(count, "scene")}. <DashboardLink />
    </>
  );
}

function Ended({ count }: { count: number }) {
  return (
    <>
      Tagged {many(count, "scene")}. <DashboardLink />
    </>
  );
}

function DashboardLink() {
  return (
    <Link to={`${ROUTE}/dashboard`} className="sense-toast-link">
      See the dashboard
    </Link>
  );
}

function reason(job: Shapes["JobTold"]): string {
  const why = job.error?.message ?? "it was interrupted";
  return `Tagging the selected scenes failed: ${why}${job.error?.remedy ? ` (${job.error.remedy})` : ""}`;
}
