/** How much of a whole something is, as a line; the words beside it say the same. */
import React from "react";

export function ShareLine({ share }: { share: number }) {
  const width = `${Math.min(1, Math.max(0, share)) * 100}%`;
  return (
    <span className="sense-dash-share" aria-hidden>
      <span style={{ width }} />
    </span>
  );
}
