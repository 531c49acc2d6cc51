/** What went wrong, and the button that mends it where there is one. */
import React, { useEffect, useRef, useState } from "react";
import { Button } from "react-bootstrap";
import { runTask, type SenseError, type StashJob, stopTask } from "../stash/calls";
import { useQueue } from "../stash/hooks";
import { Outdated } from "./Outdated";

interface Props {
  error: SenseError;
  /** Asks again. */
  again(): void;
  /** Whether `again` changes something: then nobody but the user repeats it. */
  isDeed?: boolean;
}

interface Kind {
  is: RegExp;
  title: string;
  /** What it means, and what to do about it. */
  says: string;
  /** Whether it passes by itself, so that asking again now and then is worth it. */
  passes?: boolean;
  /** Whether the page must be loaded anew. */
  reloads?: boolean;
}

const KINDS: readonly Kind[] = [
  {
    is: /^(Failed to fetch|Load failed|NetworkError\b.*)$|status code 50[234]$/,
    title: "Stash does not answer",
    says: "It may be starting again, or the network is away.",
    passes: true,
  },
  {
    is: /status code 401$/,
    title: "You are signed out of Stash",
    says: "Load the page anew to sign in.",
    reloads: true,
  },
  {
    is: /^Stash Sense is being updated|is gone or not whole/,
    title: "Stash Sense is being updated",
    says: "",
    passes: true,
  },
  {
    is: /^(plugin \S+ is disabled|no plugin with ID )/,
    title: "Stash Sense is switched off",
    says: "Switch it on in Stash's settings, under Plugins, and load the page anew.",
    reloads: true,
  },
  {
    is: /^There is no mode /,
    title: "This page is of another version",
    says: "Stash Sense was updated meanwhile: load the page anew.",
    reloads: true,
  },
  {
    is: /^The background process of Stash Sense/,
    title: "The background process does not answer",
    says: "It is started again by itself when it is asked.",
  },
];

const EVERY_MS = 5000;

export function Trouble({ error, again, isDeed = false }: Props) {
  if (error.needsSetUp) return <NotSetUp error={error} again={again} isDeed={isDeed} />;
  const kind = KINDS.find((each) => each.is.test(error.message));
  return <Told key={kind?.title} kind={kind} error={error} again={again} isDeed={isDeed} />;
}

function Told({ kind, error, again, isDeed }: Props & { kind: Kind | undefined }) {
  const isRepeated = kind?.passes === true && !isDeed;
  useAgain(isRepeated, again);
  const says = [kind?.says, isRepeated && "This is asked again by itself."].filter(Boolean);
  return (
    <div className={`card sense-trouble ${kind?.passes ? "sense-passes" : ""}`} role="alert">
      {kind && <h2 className="h5">{kind.title}</h2>}
      <p className="sense-told">{error.message}</p>
      {says.length > 0 && <p>{says.join(" ")}</p>}
      {kind?.reloads && (
        <>
          <Button size="sm" onClick={() => window.location.reload()}>
            Load the page anew
          </Button>{" "}
        </>
      )}
      <Button size="sm" variant="secondary" onClick={again}>
        Try again
      </Button>
      {!kind?.reloads && <Outdated />}
    </div>
  );
}

/** Ask again every few seconds, for as long as somebody looks. */
function useAgain(isWorthIt: boolean, again: () => void) {
  const ask = useRef(again);
  ask.current = again;
  useEffect(() => {
    if (!isWorthIt) return;
    const timer = window.setInterval(() => {
      if (!document.hidden) ask.current();
    }, EVERY_MS);
    return () => window.clearInterval(timer);
  }, [isWorthIt]);
}

const SET_UP = "Stash Sense: Set up";

/** Whether a job of Stash's sets us up: begun here, or by Stash's own list of tasks. */
function setsUp(job: StashJob): boolean {
  return job.description === SET_UP || /\bplugin task: Set up$/i.test(job.description);
}

/** The first thing that a new user meets: one button, and what it does before it is pressed. */
function NotSetUp({ error, again, isDeed }: Props) {
  const [isAsked, setAsked] = useState(false);
  const [ended, setEnded] = useState(0);
  const [failed, setFailed] = useState<SenseError>();
  const { jobs, follow } = useQueue((job) => {
    if (!setsUp(job)) return;
    setAsked(false);
    // Stash says FINISHED of one that failed too: only asking tells.
    setEnded((before) => before + 1);
    if (!isDeed) again();
  });
  const job = jobs.find(setsUp);
  const begin = async () => {
    setFailed(undefined);
    setAsked(true);
    try {
      follow(await runTask("set_up", SET_UP), SET_UP);
    } catch (why) {
      setAsked(false);
      setFailed(why as SenseError);
    }
  };
  const stop = (id: string) => {
    stopTask(id).catch((why: SenseError) => setFailed(why));
  };
  const isUnderWay = isAsked || job !== undefined;
  return (
    <div className="card sense-trouble sense-passes">
      <div role="alert">
        <h2 className="h5">Stash Sense is not ready yet</h2>
        <p className="sense-told">{error.message}.</p>
      </div>
      {ended > 0 && !isUnderWay && (
        <p role="alert">
          <strong>
            Set up has ended{isDeed ? ": try again." : ", and this is how it stands."}
          </strong>{" "}
          What it did last is in Stash's log (Settings, Logs); it goes on from there when it is
          begun again.
        </p>
      )}
      <p>
        Set up installs what it needs beside Stash's own settings and fetches its networks. The
        addresses that it reaches are said in Stash's log before; afterwards nothing leaves this
        machine.
      </p>
      {failed && (
        <p role="alert" className="sense-told">
          {failed.message}
        </p>
      )}
      {isUnderWay && <SettingUp job={job} />}
      <div>
        {job && (
          <Button
            variant="secondary"
            disabled={job.status === "STOPPING"}
            onClick={() => stop(job.id)}
          >
            Stop
          </Button>
        )}
        {!isUnderWay && <Button onClick={begin}>Set up</Button>}{" "}
        {!(isUnderWay && isDeed) && (
          <Button variant="secondary" onClick={again}>
            {isDeed ? "Try again" : "Look again"}
          </Button>
        )}
      </div>
      <Outdated />
    </div>
  );
}

function SettingUp({ job }: { job: StashJob | undefined }) {
  const isWaiting = job === undefined || job.status === "READY";
  const percent = Math.round((job?.progress ?? 0) * 100);
  const stopping = job?.status === "STOPPING";
  return (
    <>
      <p className="mb-1">
        {stopping
          ? "Stopping…"
          : isWaiting
            ? "Set up waits in Stash's queue."
            : `Setting up: ${percent}% done. This takes some minutes; you may leave this page.`}
      </p>
      <span role="status" className="sr-only">
        {stopping ? "Stopping" : isWaiting ? "Waiting" : `About ${percent - (percent % 10)}%`}
      </span>
      <div
        className="progress mb-2"
        role="progressbar"
        aria-label="Setting up"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <div
          className="progress-bar progress-bar-striped progress-bar-animated"
          style={{ width: `${isWaiting ? 0 : Math.max(3, percent)}%` }}
        />
      </div>
      {job?.subTasks?.map((line) => (
        <p key={line} className="mb-1 sense-told">
          {line}
        </p>
      ))}
    </>
  );
}
