/** How far something is, in Stash's own bar. */
import React from "react";
import { ProgressBar } from "react-bootstrap";

interface Props {
  /** 0..1; null where nobody knows. */
  share: number | null;
  label: string;
}

export function Progress({ share, label }: Props) {
  const now = Math.min(100, Math.max(0, Math.round((share ?? 0) * 100)));
  // A bar that tells nothing yet still has to be seen.
  return (
    <div className="sense-progress">
      <ProgressBar animated now={Math.max(2, now)} aria-label={label} aria-valuetext={`${now}%`} />
      <span className="sense-progress-share" aria-hidden>
        {now}%
      </span>
    </div>
  );
}
