/** The tab on a scene's page: tag it, see why, accept or refuse. */
import React, { useCallback, useEffect, useRef, useState } from "react";
import { Alert } from "react-bootstrap";
import { forgetPictures } from "../parts/pictures";
import { useSeen } from "../parts/Strip";
import { Trouble } from "../parts/Trouble";
import type { Shapes } from "../stash/calls";
import { useOperation } from "../stash/hooks";
import { readAgain } from "../stash/verdicts";
import { LookedAt } from "./LookedAt";
import { SceneJob, useTagging } from "./SceneJob";
import { Suggestions } from "./Suggestions";
import "./scene.css";

/** What Stash's page hands over of its scene, as far as it is used. */
export interface PageScene {
  id: string;
  title?: string | null;
  files: readonly { duration: number }[];
  tags: readonly { id: string; name: string }[];
  studio?: { id: string } | null;
  performers?: readonly { id: string }[];
}

interface Props {
  scene: PageScene;
  seek(seconds: number): void;
}

/** Stash mounts the panes of all tabs: nothing is asked before this one is looked at. */
export function SceneTab({ scene, seek }: Props) {
  const [place, seen] = useSeen<HTMLDivElement>();
  const returns = useReturns(place, seen);
  return (
    <div className="sense-scene" ref={place}>
      {seen && <Scene scene={scene} seek={seek} returns={returns} />}
    </div>
  );
}

/** Count how often it came back into sight: another tab of the scene was looked at meanwhile. */
function useReturns(place: React.RefObject<Element>, seen: boolean): number {
  const [returns, setReturns] = useState(0);
  useEffect(() => {
    const element = place.current;
    if (!seen || element === null || typeof IntersectionObserver === "undefined") return;
    let was = true;
    const observer = new IntersectionObserver((entries) => {
      const is = entries[entries.length - 1]?.isIntersecting ?? was;
      if (is && !was) setReturns((before) => before + 1);
      was = is;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [place, seen]);
  return returns;
}

/** What Stash says is on a scene: where it changes, what we know of it is old. */
function keyOf({ tags, studio, performers = [] }: PageScene): string {
  const ids = (all: readonly { id: string }[]) => all.map(({ id }) => id).sort();
  return JSON.stringify([ids(tags), studio?.id ?? null, ids(performers)]);
}

function Scene({ scene, seek, returns }: Props & { returns: number }) {
  const { told, error, reload } = useOperation("scene", { scene_id: scene.id });
  const now = `${returns} ${keyOf(scene)}`;
  const known = useRef(now);
  useEffect(() => {
    if (known.current === now) return;
    known.current = now;
    reload();
  }, [now, reload]);
  const tagging = useTagging(scene.id, told?.job ?? null, () => {
    forgetPictures(scene.id);
    reload();
    void readAgain([scene.id]);
  });
  const play = useSteady(seek);
  if (told === undefined) {
    if (error) return <Trouble error={error} again={reload} />;
    return <Waiting />;
  }
  const durationS = told.duration_s ?? scene.files[0]?.duration ?? null;
  return (
    <>
      <SceneJob
        tagging={tagging}
        hasFile={scene.files.length > 0}
        first={told.looked_at_s === null}
        lookedAtS={told.looked_at_s}
      />
      {error && <Trouble error={error} again={reload} />}
      {!tagging.under_way && <State told={told} />}
      <Suggestions
        rows={told.suggestions}
        lookedAtS={told.looked_at_s}
        durationS={durationS}
        more={told.more}
        reload={reload}
        seek={play}
      />
      <LookedAt told={told} seek={play} />
    </>
  );
}

/** Stash hands over another function with each of its own changes; ours stays the same. */
function useSteady(seek: (seconds: number) => void): (seconds: number) => void {
  const latest = useRef(seek);
  useEffect(() => {
    latest.current = seek;
  });
  return useCallback((seconds: number) => latest.current(seconds), []);
}

function Waiting() {
  return (
    <div className="sense-scene-waiting" role="status">
      <span className="spinner-border spinner-border-sm" aria-hidden="true" /> Asking Stash Sense…
    </div>
  );
}

/** Why there is nothing to see, or why what is seen may be wrong. */
function State({ told }: { told: Shapes["SceneTold"] }) {
  if (told.error) {
    return (
      <Alert variant="danger" className="sense-scene-state">
        <p>{told.error.message}</p>
        <p className="mb-0">What helps: {told.error.remedy}</p>
      </Alert>
    );
  }
  if (told.changed) {
    return (
      <Alert variant="warning" className="sense-scene-state">
        The scene has another file than the one that was looked at: what is said here may not hold.
        Tag it again.
      </Alert>
    );
  }
  if (told.looked_at_s === null) {
    return (
      <p className="sense-scene-state">
        Stash Sense has not looked at this scene yet. It says what is in it, who, and when; and
        shows the frames that it says so for.
      </p>
    );
  }
  return told.suggestions.length === 0 ? <Nothing told={told} /> : null;
}

function Nothing({ told }: { told: Shapes["SceneTold"] }) {
  if (told.ran.length === 0 && told.skipped.length > 0) {
    return (
      <Alert variant="warning" className="sense-scene-state">
        Nothing could look at this scene: see below what each of them lacks.
      </Alert>
    );
  }
  return (
    <p className="sense-scene-state">
      Nothing was found in it that is certain enough to be suggested.
    </p>
  );
}
