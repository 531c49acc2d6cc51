/** What stands in the list: a suggestion, or the scene that some of them are of. */
import { faCheck, faRotateLeft, faXmark } from "@fortawesome/free-solid-svg-icons";
import { FontAwesomeIcon } from "@fortawesome/react-fontawesome";
import React, { useEffect, useMemo, useState } from "react";
import { Badge, Button } from "react-bootstrap";
import { Link } from "react-router-dom";
import { Confidence } from "../parts/Confidence";
import { Strip } from "../parts/Strip";
import { Timeline } from "../parts/Timeline";
import { reasons } from "../parts/why";
import { nameOf, percent } from "../parts/words";
import { BASE } from "../stash/plugin_api";
import type { Row, Why } from "./listing";

/** What can be done with a row. */
export interface Acts {
  accept(row: Row): void;
  refuse(row: Row): void;
  takeBack(row: Row): void;
  /** Answer all of a scene's suggestions that are in the list. */
  acceptScene(sceneId: string): void;
  refuseScene(sceneId: string): void;
  seek(row: Row, seconds: number): void;
}

/** As many frames as stand beside one another. */
const FRAMES = 6;

export function sceneAddress(sceneId: string, seconds?: number): string {
  const at = seconds === undefined ? "" : `?t=${Math.floor(seconds)}`;
  return `/scenes/${encodeURIComponent(sceneId)}${at}`;
}

function Thumbnail({ row }: { row: Row }) {
  return (
    <Link to={sceneAddress(row.scene_id)} className="sense-review-thumb" tabIndex={-1} aria-hidden>
      <img
        src={`${BASE}/scene/${encodeURIComponent(row.scene_id)}/screenshot`}
        alt=""
        loading="lazy"
        draggable={false}
      />
    </Link>
  );
}

interface SuggestionProps {
  row: Row;
  why: Why | undefined;
  /** Whether the row is of a scene that stands above it. */
  grouped: boolean;
  refused: boolean;
  active: boolean;
  /** Whether the list stands still: pictures are not asked for of what only flies past. */
  calm: boolean;
  reason: string | undefined;
  acts: Acts;
}

export const Suggestion = React.memo(function Suggestion({
  row,
  why,
  grouped,
  refused,
  active,
  calm,
  reason,
  acts,
}: SuggestionProps) {
  const stops = active ? 0 : -1;
  return (
    <div className={`sense-review-suggestion ${grouped ? "sense-review-grouped" : ""}`}>
      {!grouped && <Thumbnail row={row} />}
      <div className="sense-review-what">
        <div className="sense-review-head">
          {grouped ? (
            <strong className="sense-review-name">{nameOf(row)}</strong>
          ) : (
            <Link
              to={sceneAddress(row.scene_id)}
              className="sense-review-title"
              tabIndex={stops}
              title={row.source}
            >
              {row.title}
            </Link>
          )}
          {grouped && row.kind !== "tag" && <Badge variant="secondary">{row.kind}</Badge>}
          <Confidence share={row.confidence} />
        </div>
        {reason !== undefined && (
          <p className="sense-review-reason text-danger">Not done: {reason}</p>
        )}
        <Frames row={row} why={why} active={active} calm={calm} acts={acts} />
        <div className="sense-review-foot text-muted">
          {row.in_stash === "there" && <span>Already on the scene. </span>}
          {row.in_stash === "ours" && <span>Written by Stash Sense. </span>}
          {why && <Models why={why} />}
        </div>
      </div>
      <Answer row={row} refused={refused} active={active} acts={acts} />
    </div>
  );
});

function Models({ why }: { why: Why }) {
  const each = useMemo(() => reasons(why.evidence), [why]);
  const title = each.map(({ sentence, model }) => `${sentence} (${model})`).join("\n");
  return <span title={title}>{each.map(({ sentence }) => sentence).join("; ")}</span>;
}

type FramesProps = Pick<SuggestionProps, "row" | "why" | "active" | "calm" | "acts">;

/** Takes the same room before it is drawn and after. */
function Frames({ row, why, active, calm, acts }: FramesProps) {
  const [drawn, setDrawn] = useState(calm);
  useEffect(() => {
    if (calm) setDrawn(true);
  }, [calm]);
  const shown = why !== undefined && drawn;
  const seek = (seconds: number) => acts.seek(row, seconds);
  return (
    <div className="sense-review-why">
      <div className="sense-review-frames">
        {shown && (
          <Strip
            sceneId={row.scene_id}
            proofs={why.evidence}
            durationS={row.duration_s}
            most={FRAMES}
            stops={active}
            seek={seek}
          />
        )}
      </div>
      {why !== undefined && (
        <Timeline
          ranges={why.ranges}
          durationS={row.duration_s}
          stops={active}
          seek={seek}
          label={nameOf(row)}
        />
      )}
    </div>
  );
}

type AnswerProps = Pick<SuggestionProps, "row" | "refused" | "active" | "acts">;

/** In colour where the keys are: a page of green and red says nothing. */
function Answer({ row, refused, active, acts }: AnswerProps) {
  const stops = active ? 0 : -1;
  const what = `${nameOf(row)}, ${row.title}`;
  if (refused) {
    return (
      <div className="sense-review-answer">
        <Button
          variant={active ? "primary" : "secondary"}
          title="Take back (t)"
          tabIndex={stops}
          aria-label={`Take back that ${what} was refused`}
          onClick={() => acts.takeBack(row)}
        >
          <FontAwesomeIcon icon={faRotateLeft} /> Take back
        </Button>
      </div>
    );
  }
  return (
    <div className="sense-review-answer">
      <Button
        variant={active ? "success" : "secondary"}
        title="Accept (a)"
        tabIndex={stops}
        aria-label={`Accept ${what}`}
        onClick={() => acts.accept(row)}
      >
        <FontAwesomeIcon icon={faCheck} /> Accept
      </Button>
      <Button
        variant={active ? "danger" : "secondary"}
        title="Refuse (r)"
        tabIndex={stops}
        aria-label={`Refuse ${what}`}
        onClick={() => acts.refuse(row)}
      >
        <FontAwesomeIcon icon={faXmark} /> Refuse
      </Button>
    </div>
  );
}

interface SceneHeadProps {
  row: Row;
  count: number;
  refused: boolean;
  acts: Acts;
}

export const SceneHead = React.memo(function SceneHead({
  row,
  count,
  refused,
  acts,
}: SceneHeadProps) {
  return (
    <div className="sense-review-scene">
      <Thumbnail row={row} />
      <h3 className="sense-review-scene-title">
        <Link to={sceneAddress(row.scene_id)} tabIndex={-1} title={row.source}>
          {row.title}
        </Link>
      </h3>
      {!refused && count > 1 && (
        <div className="sense-review-scene-acts">
          <Button
            size="sm"
            variant="secondary"
            tabIndex={-1}
            aria-label={`Accept all ${count} of ${row.title}`}
            onClick={() => acts.acceptScene(row.scene_id)}
          >
            Accept all {count}
          </Button>
          <Button
            size="sm"
            variant="secondary"
            tabIndex={-1}
            aria-label={`Refuse all ${count} of ${row.title}`}
            onClick={() => acts.refuseScene(row.scene_id)}
          >
            Refuse all
          </Button>
        </div>
      )}
    </div>
  );
});

/** What a screen reader says of a row when it comes upon it. */
export function rowLabel(row: Row): string {
  return `${nameOf(row)}, ${percent(row.confidence)}, ${row.title}`;
}
