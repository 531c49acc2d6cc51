/** One suggestion: what, how certain, the frames and ranges that show why, and what to say of it. */
import {
  faCheck,
  faChevronDown,
  faChevronRight,
  faRotateLeft,
  faXmark,
} from "@fortawesome/free-solid-svg-icons";
import { FontAwesomeIcon } from "@fortawesome/react-fontawesome";
import React from "react";
import { Badge, Button } from "react-bootstrap";
import { Link } from "react-router-dom";
import { Confidence } from "../parts/Confidence";
import { Strip } from "../parts/Strip";
import { Timeline } from "../parts/Timeline";
import { reasons } from "../parts/why";
import { clock, many, nameOf } from "../parts/words";
import { framesOf } from "./markers";
import {
  called,
  isOnScene,
  mayAccept,
  mayRefuse,
  type Said,
  type Shown,
  waits,
} from "./verdict_book";

interface Props {
  row: Shown;
  /** The row of the tag whose markers these are. */
  tag: Shown | undefined;
  /** Whether the plugin writes markers by itself. */
  writesMarkers: boolean;
  /** Whether the tab key stops in it. */
  current: boolean;
  folded: boolean;
  durationS: number | null;
  seek(seconds: number): void;
  fold(row: Shown): void;
  enter(key: string): void;
  say(row: Shown, said: Said): void;
  takeBack(row: Shown): void;
}

const PAGES: Readonly<Record<Shown["kind"], string>> = {
  tag: "tags",
  studio: "studios",
  performer: "performers",
  marker: "tags",
};

export function SuggestionItem(props: Props) {
  const { row, current, folded, fold, enter } = props;
  return (
    <li
      className={`sense-row${row.underWay ? " sense-row-busy" : ""}`}
      aria-busy={row.underWay}
      onFocus={() => enter(row.key)}
    >
      <div className="sense-row-head">
        <button
          type="button"
          className="sense-row-name"
          data-sense-row={row.key}
          tabIndex={current ? 0 : -1}
          aria-expanded={!folded}
          onClick={() => fold(row)}
        >
          <FontAwesomeIcon icon={folded ? faChevronRight : faChevronDown} fixedWidth />
          <span className="sense-row-words">
            {row.kind === "marker" && <span className="sr-only">Markers of </span>}
            <Badge variant="secondary" className="tag-item">
              {nameOf(row)}
            </Badge>
            <span className="text-muted sense-small">{besides(row)}</span>
          </span>
        </button>
        <Confidence share={row.confidence} />
        <Buttons {...props} />
      </div>
      <Standing {...props} />
      {row.note && (
        <p className={`sense-small sense-row-note ${row.note.failed ? "text-danger" : ""}`}>
          {row.note.message}
          {row.note.remedy && `: ${row.note.remedy}`}
        </p>
      )}
      {!folded && <Why {...props} />}
    </li>
  );
}

/** What stands beside the name: how many markers, or what the model calls it. */
function besides(row: Shown): string {
  const { kind, label, ranges } = row;
  const name = nameOf(row);
  if (kind === "marker") return many(ranges.length, "marker");
  // `beach` is no other word than `Beach`; `scene/beach_day` is.
  const plain = (text: string) => text.toLowerCase().replace(/[\s_-]+/g, " ");
  const last = label.split("/").pop() ?? label;
  return plain(last) === plain(name) || plain(label) === plain(name) ? "" : label;
}

function Buttons({ row, tag, current, say, takeBack }: Props) {
  const tabIndex = current ? 0 : -1;
  const withTag = tag && waits(tag) ? ", and the tag" : "";
  return (
    <span className="sense-row-buttons">
      {mayAccept(row) && (
        <Button
          size="sm"
          variant="success"
          tabIndex={tabIndex}
          aria-label={`Accept ${called(row)}${withTag}`}
          title={`Accept${withTag} (a)`}
          onClick={() => say(row, "accepted")}
        >
          <FontAwesomeIcon icon={faCheck} fixedWidth />
        </Button>
      )}
      {row.said === null && mayRefuse(row) && (
        <Button
          size="sm"
          variant="danger"
          tabIndex={tabIndex}
          aria-label={`Refuse ${called(row)}`}
          title="Refuse (r)"
          onClick={() => say(row, "refused")}
        >
          <FontAwesomeIcon icon={faXmark} fixedWidth />
        </Button>
      )}
      {row.said !== null && (
        <Button
          size="sm"
          variant="secondary"
          tabIndex={tabIndex}
          aria-label={`Undo ${row.said} ${called(row)}`}
          title="Undo (u)"
          onClick={() => takeBack(row)}
        >
          <FontAwesomeIcon icon={faRotateLeft} fixedWidth />
        </Button>
      )}
    </span>
  );
}

/** How it stands with what the scene has already. */
function Standing({ row, tag, writesMarkers }: Props) {
  const words = row.underWay ? underWay(row) : standing(row, tag, writesMarkers);
  if (words === undefined) return null;
  const good = !row.underWay && row.said !== "refused" && isOnScene(row);
  return (
    <p className="text-muted sense-small sense-row-standing">
      {good && <FontAwesomeIcon icon={faCheck} fixedWidth />} {words}
    </p>
  );
}

function underWay({ said }: Shown): string {
  if (said === null) return "Being undone";
  return said === "accepted" ? "Being written" : "Being refused";
}

function standing(row: Shown, tag: Shown | undefined, writesMarkers: boolean): string | undefined {
  const { kind, said, in_stash } = row;
  if (said === "refused") {
    if (in_stash === "there") {
      return "Refused; what is on the scene stays, since Stash Sense did not write it";
    }
    return kind === "marker"
      ? "Refused: no markers of it will be set in this scene"
      : "Refused: it will not be suggested for this scene again";
  }
  if (said === "accepted") {
    if (in_stash === null) return "Accepted";
    return in_stash === "absent"
      ? "Accepted, but no longer on the scene"
      : "Accepted, and on the scene";
  }
  if (in_stash === "ours") return "On the scene, written by Stash Sense";
  if (in_stash === "there") return "On the scene already, not by Stash Sense";
  if (kind !== "marker") return undefined;
  if (writesMarkers && tag && (waits(tag) || tag.underWay)) {
    return "Come with the tag when it is accepted";
  }
  return in_stash === "absent" ? "Not on the scene" : undefined;
}

const FRAMES = 8;
/** One for each marker; as many as one call asks for. */
const FRAMES_OF_MARKERS = 24;

function Why({ row, tag, current, durationS, seek }: Props) {
  const isMarkers = row.kind === "marker";
  const whole = row.ranges.reduce((sum, each) => sum + each.end_s - each.start_s, 0);
  return (
    <div className="sense-row-why">
      <Strip
        sceneId={row.scene_id}
        proofs={isMarkers ? framesOf(row, tag) : row.evidence}
        durationS={durationS}
        seek={seek}
        stops={current}
        most={isMarkers ? FRAMES_OF_MARKERS : FRAMES}
      />
      <Timeline
        ranges={row.ranges}
        durationS={durationS}
        marks={row.evidence.map(({ time_s }) => time_s)}
        seek={seek}
        stops={current}
        label={nameOf(row)}
      />
      <p className="sense-small text-muted sense-row-reasons">
        {row.ranges.length > 0 &&
          `${many(row.ranges.length, isMarkers ? "marker" : "range")}, ${clock(whole)} in all. `}
        {reasons(row.evidence).map((reason) => (
          <span key={reason.sentence} title={reason.model}>
            {reason.sentence}.{" "}
          </span>
        ))}
        {row.target_id && (
          <Link
            to={`/${PAGES[row.kind]}/${encodeURIComponent(row.target_id)}`}
            tabIndex={current ? 0 : -1}
          >
            Its page
          </Link>
        )}
      </p>
    </div>
  );
}
