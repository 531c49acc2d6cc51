/** "Tag selected" in the menu of the list of scenes. */
import type React from "react";

export function noteCard(
  _card: { scene: { id: string }; selected?: boolean },
  drawn: React.ReactNode,
): React.ReactNode {
  return drawn;
}

export function withTagSelected<P extends { operations: unknown[] }>(props: P): P {
  return props;
}
