/** The button that tags a scene, and the job that does it. */
import React, { useEffect, useRef, useState } from "react";
import { Alert } from "react-bootstrap";
import { Confirm } from "../parts/Confirm";
import { Deed } from "../parts/Deed";
import { useFocusKept } from "../parts/focus";
import { Trouble } from "../parts/Trouble";
import { many } from "../parts/words";
import { operate, type SenseError, type Shapes } from "../stash/calls";
import { useJob } from "../stash/hooks";

type Job = Shapes["JobTold"];

export interface Tagging {
  begin(): void;
  cancel(): void;
  under_way: boolean;
  /** Not there until the worker was first asked. */
  job: Job | undefined;
  cancelling: boolean;
  /** The job that ended last, while nothing else was begun. */
  ended: Job | undefined;
  /** Why it could not begin. */
  error: SenseError | undefined;
  /** Why it could not be cancelled. */
  uncancelled: SenseError | undefined;
  /** Why the job cannot be followed just now. */
  lost: SenseError | undefined;
}

/** Begin a job for a scene, or pick up the one that is under way. */
export function useTagging(sceneId: string, found: Job | null, done: () => void): Tagging {
  const [jobId, setJobId] = useState<string>();
  const [beginning, setBeginning] = useState(false);
  const [cancelling, setCancelling] = useState(false);
  const [ended, setEnded] = useState<Job>();
  const [error, setError] = useState<SenseError>();
  const [uncancelled, setUncancelled] = useState<SenseError>();
  const over = useRef(new Set<string>());
  const gone = useRef(false);
  useEffect(
    () => () => {
      gone.current = true;
    },
    [],
  );
  const foundId = found?.id;
  useEffect(() => {
    if (foundId !== undefined && !over.current.has(foundId)) {
      setJobId((before) => before ?? foundId);
    }
  }, [foundId]);
  const { job, error: lost } = useJob(jobId, (last) => {
    over.current.add(last.id);
    setJobId(undefined);
    setCancelling(false);
    setError(undefined);
    setUncancelled(undefined);
    setEnded(last);
    done();
  });
  const begin = async () => {
    setBeginning(true);
    setError(undefined);
    setUncancelled(undefined);
    setEnded(undefined);
    try {
      const { job_id } = await operate("tag_scene", { scene_id: sceneId });
      if (!gone.current) setJobId(job_id);
    } catch (why) {
      if (!gone.current) setError(why as SenseError);
    }
    if (!gone.current) setBeginning(false);
  };
  const cancel = async () => {
    if (jobId === undefined) return;
    setCancelling(true);
    setUncancelled(undefined);
    try {
      await operate("cancel_job", { job_id: jobId });
    } catch (why) {
      // The job may have ended meanwhile, by this very call: only its answer was lost.
      if (gone.current || over.current.has(jobId)) return;
      setCancelling(false);
      setUncancelled(why as SenseError);
    }
  };
  return {
    begin: () => void begin(),
    cancel: () => void cancel(),
    under_way: beginning || jobId !== undefined,
    job: jobId === undefined ? undefined : (job ?? found ?? undefined),
    cancelling,
    ended,
    error,
    uncancelled,
    lost,
  };
}

interface Props {
  tagging: Tagging;
  hasFile: boolean;
  /** Whether it was never looked at. */
  first: boolean;
  lookedAtS: number | null;
}

export function SceneJob({ tagging, hasFile, first, lookedAtS }: Props) {
  const { under_way, error, uncancelled, ended } = tagging;
  const place = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  // Cancel goes when the job has ended, and what offers another try when it is tried.
  useFocusKept(place, () => button.current);
  return (
    <div className="sense-scene-job" ref={place}>
      <div className="sense-scene-begin">
        <Deed
          ref={button}
          variant={first ? "primary" : "secondary"}
          disabled={!hasFile}
          busy={under_way}
          does={tagging.begin}
        >
          Tag this scene
        </Deed>
        {!hasFile && <span>It has no file to look at.</span>}
        {lookedAtS !== null && !under_way && (
          <span className="text-muted sense-small">Looked at {day(lookedAtS)}</span>
        )}
      </div>
      {under_way && <UnderWay tagging={tagging} />}
      {uncancelled && <Trouble error={uncancelled} again={tagging.cancel} isDeed />}
      {error && <Trouble error={error} again={tagging.begin} isDeed />}
      {!under_way && ended && <Ended job={ended} />}
      <span className="sr-only" role="status">
        {heard(tagging)}
      </span>
    </div>
  );
}

function UnderWay({ tagging }: { tagging: Tagging }) {
  const { job, cancelling, lost } = tagging;
  const [asks, setAsks] = useState(false);
  const running = job?.status === "running";
  const others = (job?.scene_ids.length ?? 0) > 1;
  return (
    <div className="sense-scene-progress">
      <Bar share={running ? job.progress : null} />
      <div className="sense-scene-line">
        <span className="sense-scene-said">{lost ? unheard(lost) : line(job, cancelling)}</span>
        <Deed
          size="sm"
          variant="secondary"
          disabled={job === undefined}
          busy={cancelling}
          does={others ? () => setAsks(true) : tagging.cancel}
        >
          {cancelling ? "Cancelling…" : cancels(job)}
        </Deed>
      </div>
      {asks && job && (
        <Confirm
          title={`Cancel the tagging of ${together(job)}?`}
          yes={cancels(job)}
          no="Go on"
          danger
          does={async () => tagging.cancel()}
          close={() => setAsks(false)}
        >
          <p className="mb-0">
            This scene is tagged together with others. Those that are done stay as they are now.
          </p>
        </Confirm>
      )}
    </div>
  );
}

/** So many scenes of a job are named. */
const NAMED = 100;

/** The scenes of a job, counted. */
function together({ scene_ids }: Job): string {
  return `${many(scene_ids.length, "scene")}${scene_ids.length >= NAMED ? " or more" : ""}`;
}

/** What cancelling a job says that it does. */
function cancels(job: Job | undefined): string {
  const scenes = job?.scene_ids.length ?? 0;
  if (scenes < 2) return "Cancel";
  return scenes < NAMED ? `Cancel all ${scenes}` : "Cancel them all";
}

/** React-Bootstrap's own has no place for a name that a screen reader finds. */
function Bar({ share }: { share: number | null }) {
  const now = Math.round((share ?? 0) * 100);
  const value = share === null ? {} : { "aria-valuenow": now };
  return (
    <div className="progress">
      <div
        className={`progress-bar progress-bar-striped progress-bar-animated ${share === null ? "bg-secondary" : ""}`}
        role="progressbar"
        aria-label="Tagging this scene"
        aria-valuemin={0}
        aria-valuemax={100}
        {...value}
        // What just began is seen to have begun.
        style={{ width: share === null ? "100%" : `${Math.max(4, now)}%` }}
      >
        {share !== null && now >= 8 && `${now}%`}
      </div>
    </div>
  );
}

function unheard(lost: SenseError): string {
  return `Stash Sense does not answer just now; asking again (${lost.message})`;
}

/** What a job does, in one line. */
function line(job: Job | undefined, cancelling: boolean): string {
  if (cancelling) return "It stops after the frames that it looks at now";
  if (job === undefined) return "Beginning";
  const others = job.scene_ids.length > 1 ? ` (one of ${together(job)})` : "";
  if (job.status === "queued") {
    if (job.error && job.next_at_s) {
      return `Tries again at ${hour(job.next_at_s)}${others}: ${job.error.message}`;
    }
    const ahead = job.ahead === 1 ? "1 job goes" : `${job.ahead} jobs go`;
    return job.ahead > 0 ? `Waiting: ${ahead} before it${others}` : `Begins now${others}`;
  }
  const last = job.lines[job.lines.length - 1]?.message;
  return `${last ?? "Looking at it"}${others}`;
}

function Ended({ job }: { job: Job }) {
  if (job.status === "done") return null;
  if (job.status === "cancelled") {
    return <p className="sense-scene-state">It was cancelled.</p>;
  }
  return (
    <Alert variant="danger" className="sense-scene-state">
      <p>{job.error?.message ?? "It was interrupted"}</p>
      <p className="mb-0">What helps: {job.error?.remedy || "tag it again"}</p>
    </Alert>
  );
}

/** For who hears the page: beginning and end, not each line. */
function heard({ under_way, ended }: Tagging): string {
  if (under_way) return "Tagging this scene";
  switch (ended?.status) {
    case undefined:
      return "";
    case "done":
      return "Tagged";
    case "cancelled":
      return "Cancelled";
    default:
      return `Failed: ${ended?.error?.message ?? "it was interrupted"}`;
  }
}

function day(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(undefined, {
    dateStyle: "medium",
    timeStyle: "short",
  });
}

function hour(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, { timeStyle: "short" });
}
