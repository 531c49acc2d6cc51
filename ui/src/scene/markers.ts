/** The markers of a tag: a row of their own that comes with the tag's, and is made of its ranges. */
import { useEffect, useState } from "react";
import type { Shot } from "../parts/Strip";
import { read } from "../settings/stored";
import { readSettings } from "../stash/calls";
import type { SuggestionRow } from "../stash/verdicts";

/** Of the row of markers, the row of their tag. */
export function tagOf<R extends SuggestionRow>(row: R, rows: readonly R[]): R | undefined {
  if (row.kind !== "marker") return undefined;
  return rows.find(({ kind, name }) => kind === "tag" && name === row.name);
}

/** A frame for each marker: where the tag was seen best in it, else its middle. */
export function framesOf(markers: SuggestionRow, tag: SuggestionRow | undefined): Shot[] {
  return markers.ranges.map(({ start_s, end_s }) => {
    const within = (tag?.evidence ?? []).filter(
      ({ time_s }) => time_s >= start_s && time_s <= end_s,
    );
    const [best] = within.sort((a, b) => b.score - a.score);
    // Of its middle nobody said that the tag was seen in it.
    return best ?? { time_s: (start_s + end_s) / 2, score: null, box: null, text: null };
  });
}

/** Whether the plugin writes markers by itself; false while that is not known. */
export function useWritesMarkers(asked: boolean): boolean {
  const [writes, setWrites] = useState(false);
  useEffect(() => {
    if (!asked) return;
    let gone = false;
    readSettings().then(
      (stored) => !gone && setWrites(read(stored).states.markers?.used === true),
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [asked]);
  return writes;
}
