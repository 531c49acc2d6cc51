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
import { clock, many } from "../parts/words";
import { mayAccept, mayRefuse, type Said, type Shown } from "./verdict_book";

interface Props {
  row: Shown;
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
            <Badge variant="secondary" className="tag-item">
              {row.name}
            </Badge>
            {differs(row) && <span className="text-muted sense-small">{row.label}</span>}
          </span>
        </button>
        <Confidence share={row.confidence} />
        <Buttons {...props} />
      </div>
      <Standing row={row} />
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

/** `beach` is no other word than `Beach`; `scene/beach_day` says what the model calls it. */
function differs({ label, name }: Shown): boolean {
  const plain = (text: string) => text.toLowerCase().replace(/[\s_-]+/g, " ");
  const last = label.split("/").pop() ?? label;
  return label !== "" && plain(last) !== plain(name) && plain(label) !== plain(name);
}

function Buttons({ row, current, say, takeBack }: Props) {
  const tabIndex = current ? 0 : -1;
  return (
    <span className="sense-row-buttons">
      {mayAccept(row) && (
        <Button
          size="sm"
          variant="success"
          tabIndex={tabIndex}
          aria-label={`Accept ${row.name}`}
          title="Accept (a)"
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
          aria-label={`Refuse ${row.name}`}
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
          aria-label={`Undo ${row.said} ${row.name}`}
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
function Standing({ row }: { row: Shown }) {
  const words = standing(row);
  if (words === undefined) return null;
  const good = row.said !== "refused" && row.in_stash !== "absent";
  return (
    <p className="text-muted sense-small sense-row-standing">
      {good && <FontAwesomeIcon icon={faCheck} fixedWidth />} {words}
    </p>
  );
}

function standing(row: Shown): string | undefined {
  if (row.underWay) {
    if (row.said === null) return "Being undone";
    return row.said === "accepted" ? "Being written" : "Being refused";
  }
  if (row.said === "refused") {
    return row.in_stash === "there"
      ? "Refused; it stays on the scene, since Stash Sense did not write it"
      : "Refused: it will not be suggested for this scene again";
  }
  if (row.said === "accepted") {
    return row.in_stash === "absent"
      ? "Accepted, but it is no longer on the scene"
      : "Accepted, and on the scene";
  }
  if (row.in_stash === "ours") return "On the scene, written by Stash Sense";
  if (row.in_stash === "there") return "On the scene already, not by Stash Sense";
  return undefined;
}

function Why({ row, current, durationS, seek }: Props) {
  const whole = row.ranges.reduce((sum, each) => sum + each.end_s - each.start_s, 0);
  return (
    <div className="sense-row-why">
      <Strip
        sceneId={row.scene_id}
        proofs={row.evidence}
        durationS={durationS}
        seek={seek}
        stops={current}
      />
      <Timeline
        ranges={row.ranges}
        durationS={durationS}
        marks={row.evidence.map(({ time_s }) => time_s)}
        seek={seek}
        label={row.name}
      />
      <p className="sense-small text-muted sense-row-reasons">
        {row.ranges.length > 0 && `${many(row.ranges.length, "range")}, ${clock(whole)} in all. `}
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
