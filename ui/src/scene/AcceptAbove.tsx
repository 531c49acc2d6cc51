/** Accept all that are certain enough, and see before which those are. */
import { faCheck } from "@fortawesome/free-solid-svg-icons";
import { FontAwesomeIcon } from "@fortawesome/react-fontawesome";
import React, { useState } from "react";
import { Button } from "react-bootstrap";
import { inPercent, many, nameOf } from "../parts/words";
import type { Shown } from "./verdict_book";

interface Props {
  /** Those that wait for a word. */
  rows: readonly Shown[];
  accept(rows: readonly Shown[]): void;
}

/** Certain enough for most, where something is. */
const FIRST = 80;
const NAMED = 12;

export function AcceptAbove({ rows, accept }: Props) {
  // As it is shown: what reads 80% is above 80%.
  const most = Math.max(0, ...rows.map(({ confidence }) => inPercent(confidence)));
  const [chosen, setChosen] = useState<number>();
  const above = chosen ?? Math.min(FIRST, most);
  const those = rows.filter(({ confidence }) => inPercent(confidence) >= above);
  if (rows.length < 2) return null;
  const names = those.slice(0, NAMED).map(nameOf);
  const rest = those.length - names.length;
  return (
    <div className="sense-above">
      <div className="sense-above-row">
        <input
          type="range"
          className="custom-range sense-above-slider"
          min={0}
          max={100}
          step={1}
          value={above}
          aria-label="Least confidence to accept"
          aria-valuetext={`${above}%, ${many(those.length, "suggestion")}`}
          onChange={(event) => setChosen(Number(event.target.value))}
        />
        <Button
          size="sm"
          variant="success"
          disabled={those.length === 0}
          onClick={() => accept(those)}
        >
          <FontAwesomeIcon icon={faCheck} /> Accept all above {above}% ({those.length})
        </Button>
      </div>
      <p className="text-muted sense-small sense-above-names">
        {those.length === 0
          ? `None of ${many(rows.length, "suggestion")} is so certain`
          : `${names.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`}
      </p>
    </div>
  );
}
